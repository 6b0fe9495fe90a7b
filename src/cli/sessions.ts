import { loadConfig } from '../platform/config/load.ts';
import type { AuthConfig } from '../platform/config/schema.ts';
import { type Command, type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';

export const sessions: Command = {
  summary: 'list or end the browser sessions of a person, at the running forward-auth',
  usage: 'postern sessions list|end --user SUBJECT [options]',
  help: `Asks forward-auth at auth.internalListen, with auth.operatorToken.

  --user SUBJECT   whose sessions
  --provider ID    where they signed in; needed where auth.providers has several
  --issuer URL     the same by the provider's issuer
  --session KEY    with \`end\`: this session only, by the key that \`list\` prints; without --user`,
  options: {
    user: { type: 'string' },
    provider: { type: 'string' },
    issuer: { type: 'string' },
    session: { type: 'string' },
  },
  positionals: [1, 1],
  async run(line, terminal) {
    const action = line.positionals[0];
    if (action !== 'list' && action !== 'end')
      throw new UsageError(`there are \`sessions list\` and \`sessions end\`, no \`sessions ${action}\``);
    const key = optionalText(line, 'session');
    const user = optionalText(line, 'user');
    if (key !== undefined && (action === 'list' || user !== undefined))
      throw new UsageError('--session goes with `end` and without --user');
    if (key !== undefined && !/^[\w-]+$/.test(key)) throw new UsageError('--session needs a key that `list` printed');
    if (key === undefined && user === undefined) throw new UsageError('whose sessions? Give --user SUBJECT');
    const { config } = loadConfig(optionalText(line, 'config'), terminal.env);
    const target = key === undefined ? owner(config.auth, line, user as string) : `/sessions/${key}`;
    const answer = await askOperatorApi(config.auth, action === 'list' ? 'GET' : 'DELETE', target);
    return action === 'list' ? printSessions(answer, terminal) : printEnded(answer, terminal);
  },
};

function owner(auth: AuthConfig, line: CommandLine, subject: string): string {
  const id = optionalText(line, 'provider');
  const issuer = optionalText(line, 'issuer');
  if (id !== undefined && issuer !== undefined) throw new UsageError('give one of --provider and --issuer');
  const known = auth.providers.map((provider) => provider.id);
  if (id !== undefined && !known.includes(id))
    throw new UsageError(`there is no provider "${id}" in auth.providers, but: ${known.join(', ') || 'none'}`);
  if (id === undefined && issuer === undefined && known.length !== 1)
    throw new UsageError(
      `a subject is one person at one provider only; give --provider: ${known.join(', ') || '(none configured)'}`,
    );
  const found = auth.providers.find((provider) => id === undefined || provider.id === id);
  return `/sessions?${new URLSearchParams({ issuer: issuer ?? found?.issuer ?? '', subject })}`;
}

function printSessions({ sessions: found }: Record<string, unknown>, terminal: Terminal): number {
  const list = Array.isArray(found) ? (found as Array<Record<string, unknown>>) : [];
  if (list.length === 0) terminal.printError('no sessions');
  // As JSON, one a line: a browser names itself as it likes, and a terminal must not obey that.
  for (const session of list) terminal.print(JSON.stringify(session));
  return 0;
}

function printEnded({ ended }: Record<string, unknown>, terminal: Terminal): number {
  terminal.print(`${Number(ended)} session${ended === 1 ? '' : 's'} ended`);
  return 0;
}
