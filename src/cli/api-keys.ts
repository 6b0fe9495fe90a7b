import { loadConfig } from '../platform/config/load.ts';
import { parseDuration } from '../platform/units.ts';
import { type Command, type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';
import { userQuery } from './people.ts';

export const apiKeys: Command = {
  summary: 'make, list and revoke API keys, at the running forward-auth',
  usage: 'postern api-keys create --user SUBJECT [options] | list [--user USER] | revoke ID',
  help: `Asks forward-auth at auth.internalListen, with auth.operatorToken. \`create\` prints the key, once and never again:
postern api-keys create --user ci > key

  --user SUBJECT   with \`create\`: whom the key stands for; with \`list\`: only this user's keys, by user, subject or name
  --name NAME      a name to show
  --groups A,B     their groups
  --scopes A,B     what the key may do
  --servers A,B    MCP servers it is good for; default: all
  --expires 90d    when it ends; default: never`,
  options: {
    user: { type: 'string' },
    name: { type: 'string' },
    groups: { type: 'string' },
    scopes: { type: 'string' },
    servers: { type: 'string' },
    expires: { type: 'string' },
  },
  choices: ['create', 'list', 'revoke'],
  positionals: [1, 2],
  async run(line, terminal) {
    const [action, id] = line.positionals;
    if (action !== 'create' && action !== 'list' && action !== 'revoke')
      throw new UsageError(`there are \`api-keys create\`, \`list\` and \`revoke\`, no \`api-keys ${action}\``);
    if ((action === 'revoke') !== (id !== undefined))
      throw new UsageError(
        action === 'revoke' ? 'which key? Give the id that `list` prints' : `\`${action}\` takes no id`,
      );
    if (id !== undefined && !/^[0-9A-Za-z]{8,12}$/.test(id))
      throw new UsageError('give the id of the key that `list` prints, never the key itself');
    const wanted = action === 'create' ? description(line) : undefined;
    const { auth } = loadConfig(optionalText(line, 'config'), terminal.env).config;
    if (wanted !== undefined) return printKey(await askOperatorApi(auth, 'POST', '/api-keys', wanted), terminal);
    if (id === undefined) return printKeys(await askOperatorApi(auth, 'GET', `/api-keys${userQuery(line)}`), terminal);
    await askOperatorApi(auth, 'DELETE', `/api-keys/${id}`);
    terminal.print(`${id} revoked`);
    return 0;
  },
};

function description(line: CommandLine): object {
  const subject = optionalText(line, 'user');
  if (subject === undefined) throw new UsageError('whom does the key stand for? Give --user SUBJECT');
  const expires = optionalText(line, 'expires');
  const lifetime = expires === undefined ? undefined : parseDuration(expires);
  if (expires !== undefined && lifetime === undefined)
    throw new UsageError(`--expires needs a duration such as 12h or 90d, not ${expires}`);
  return {
    subject,
    name: optionalText(line, 'name'),
    groups: names(line, 'groups'),
    scopes: names(line, 'scopes'),
    servers: names(line, 'servers'),
    expiresAt: lifetime === undefined ? undefined : Date.now() + lifetime,
  };
}

function names(line: CommandLine, option: string): string[] | undefined {
  return optionalText(line, option)
    ?.split(/[,\s]+/)
    .filter((name) => name !== '');
}

/** The key alone on standard output, so that it can go into a file. */
function printKey({ key, id, lasting }: Record<string, unknown>, terminal: Terminal): number {
  terminal.print(String(key));
  terminal.printError(`made ${String(id)}: keep the key now, it is not shown again`);
  if (lasting === false)
    terminal.printError('warning: kept in memory, so it ends with forward-auth; set `redis` to keep API keys');
  return 0;
}

function printKeys({ apiKeys: found }: Record<string, unknown>, terminal: Terminal): number {
  const list = Array.isArray(found) ? (found as object[]) : [];
  if (list.length === 0) terminal.printError('no API keys');
  for (const key of list) terminal.print(JSON.stringify(key));
  return 0;
}
