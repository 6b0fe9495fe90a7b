import { loadConfig } from '../platform/config/load.ts';
import { type Command, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';
import { userQuery } from './people.ts';

export const clients: Command = {
  summary: 'list or remove MCP clients that registered themselves, at the running forward-auth',
  usage: 'postern clients list [--user USER] | remove ID',
  help: `Asks forward-auth at auth.internalListen, with auth.operatorToken; needs auth.broker.

\`remove\` ends everything that people granted to the client. The id is what \`list\` prints; for a client
that is named by its document it is the document's address.

  --user USER   with \`list\`: only those that this person granted something to, by any of their names`,
  options: { user: { type: 'string' } },
  choices: ['list', 'remove'],
  positionals: [1, 2],
  async run(line, terminal) {
    const [action, id] = line.positionals;
    if (action !== 'list' && action !== 'remove')
      throw new UsageError(`there are \`clients list\` and \`clients remove\`, no \`clients ${action}\``);
    if ((action === 'remove') !== (id !== undefined))
      throw new UsageError(action === 'remove' ? 'which client? Give the id that `list` prints' : '`list` takes no id');
    const { auth } = loadConfig(optionalText(line, 'config'), terminal.env).config;
    if (id === undefined)
      return printClients(await askOperatorApi(auth, 'GET', `/oauth/clients${userQuery(line)}`), terminal);
    const answer = await askOperatorApi(auth, 'DELETE', `/oauth/clients?${new URLSearchParams({ client: id })}`);
    const ended = Number(answer.grants);
    terminal.print(`${id} removed, ${ended} grant${ended === 1 ? '' : 's'} ended`);
    return 0;
  },
};

function printClients({ clients: found }: Record<string, unknown>, terminal: Terminal): number {
  const list = Array.isArray(found) ? (found as object[]) : [];
  if (list.length === 0) terminal.printError('no registered clients');
  // As JSON, one a line: a client names itself as it likes, and a terminal must not obey that.
  for (const client of list) terminal.print(JSON.stringify(client));
  return 0;
}
