import { loadConfig } from '../platform/config/load.ts';
import { type Command, type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';
import { findUser } from './people.ts';

export const grants: Command = {
  summary: 'list or end what people granted to MCP clients, at the running forward-auth',
  usage: 'postern grants list|end [options]',
  help: `Asks forward-auth at auth.internalListen, with auth.operatorToken; needs auth.broker. Options narrow; \`end\` needs one.

  --user USER      of this person: <issuer>#<subject>, subject, username, e-mail address or name; whole
  --provider ID    who signed in there
  --client ID      to this client
  --grant KEY      this grant only, by the key that \`list\` prints`,
  options: {
    user: { type: 'string' },
    provider: { type: 'string' },
    client: { type: 'string' },
    grant: { type: 'string' },
  },
  choices: ['list', 'end'],
  positionals: [1, 1],
  async run(line, terminal) {
    const [action] = line.positionals;
    if (action !== 'list' && action !== 'end')
      throw new UsageError(`there are \`grants list\` and \`grants end\`, no \`grants ${action}\``);
    const query = narrowed(line);
    if (action === 'end' && query.size === 0)
      throw new UsageError('which grants? Give --user, --client, --provider or --grant');
    const { auth } = loadConfig(optionalText(line, 'config'), terminal.env).config;
    const named = optionalText(line, 'user');
    if (action === 'end' && named !== undefined) {
      const found = await findUser(auth, { user: named, issuer: undefined }, terminal);
      if (found === 'several') return 1;
      query.set('user', found?.user ?? named);
    }
    const answer = await askOperatorApi(auth, action === 'list' ? 'GET' : 'DELETE', `/oauth/grants?${query}`);
    return action === 'list' ? printGrants(answer, terminal) : printEnded(answer, terminal);
  },
};

function narrowed(line: CommandLine): URLSearchParams {
  const query = new URLSearchParams();
  for (const [option, name] of [
    ['user', 'user'],
    ['provider', 'provider'],
    ['client', 'client'],
    ['grant', 'grant'],
  ] as const) {
    const value = optionalText(line, option);
    if (value !== undefined) query.set(name, value);
  }
  return query;
}

function printGrants({ grants: found }: Record<string, unknown>, terminal: Terminal): number {
  const list = Array.isArray(found) ? (found as object[]) : [];
  if (list.length === 0) terminal.printError('no grants');
  // As JSON, one a line: a client names itself as it likes, and a terminal must not obey that.
  for (const grant of list) terminal.print(JSON.stringify(grant));
  return 0;
}

function printEnded({ ended }: Record<string, unknown>, terminal: Terminal): number {
  terminal.print(`${Number(ended)} grant${ended === 1 ? '' : 's'} ended`);
  return 0;
}
