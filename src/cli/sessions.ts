import { loadConfig } from '../platform/config/load.ts';
import type { AuthConfig } from '../platform/config/schema.ts';
import { type Command, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';
import { findUser, issuerIn, USER_HELP, USER_OPTIONS } from './people.ts';

export const sessions: Command = {
  summary: 'list browser sessions or end those of a user, at the running forward-auth',
  usage: 'postern sessions list [options] | end --user USER | end --session KEY',
  help: `Asks forward-auth at auth.internalListen, with auth.operatorToken. \`list\` without --user lists all sessions, a page at a time;
\`end --user\` ends nothing where several users are called so, and prints them.

${USER_HELP}
  --limit N        with \`list\`: sessions on a page, 100 unless given
  --after PAGE     with \`list\`: the page after that one, as \`list\` prints it
  --session KEY    with \`end\`: this session only, by the key that \`list\` prints; without --user`,
  options: {
    ...USER_OPTIONS,
    limit: { type: 'string' },
    after: { type: 'string' },
    session: { type: 'string' },
  },
  choices: ['list', 'end'],
  positionals: [1, 1],
  async run(line, terminal) {
    const action = line.positionals[0];
    if (action !== 'list' && action !== 'end')
      throw new UsageError(`there are \`sessions list\` and \`sessions end\`, no \`sessions ${action}\``);
    const [key, user, limit, after] = ['session', 'user', 'limit', 'after'].map((name) => optionalText(line, name));
    if (key !== undefined && (action === 'list' || user !== undefined))
      throw new UsageError('--session goes with `end` and without --user');
    if (action === 'end' && (limit !== undefined || after !== undefined))
      throw new UsageError('--limit and --after go with `list`');
    if (key !== undefined && !/^[\w-]+$/.test(key)) throw new UsageError('--session needs a key that `list` printed');
    if (action === 'end' && key === undefined && user === undefined)
      throw new UsageError('whose sessions? Give --user USER');
    const { auth } = loadConfig(optionalText(line, 'config'), terminal.env).config;
    if (key !== undefined) return printEnded(await askOperatorApi(auth, 'DELETE', `/sessions/${key}`), terminal);
    const issuer = issuerIn(auth, line);
    if (action === 'end') return end(auth, { user: user as string, issuer }, terminal);
    return list(auth, { user, issuer, limit, after }, terminal);
  },
};

/** Those of a user are looked for among all, as far as it takes; otherwise one page. */
async function list(
  auth: AuthConfig,
  wanted: Readonly<Record<'user' | 'issuer' | 'limit' | 'after', string | undefined>>,
  terminal: Terminal,
): Promise<number> {
  let printed = 0;
  let { after } = wanted;
  do {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...wanted, after })) if (value !== undefined) query.set(name, value);
    const { sessions: found, next } = await askOperatorApi(auth, 'GET', `/sessions?${query}`);
    // As JSON, one a line: a browser names itself as it likes, and a terminal must not obey that.
    for (const session of Array.isArray(found) ? (found as object[]) : []) {
      terminal.print(JSON.stringify(session));
      printed += 1;
    }
    after = typeof next === 'string' ? next : undefined;
  } while (after !== undefined && wanted.user !== undefined && wanted.limit === undefined);
  if (printed === 0) terminal.printError('no sessions');
  if (after !== undefined) terminal.printError(`there are more: --after ${after}`);
  return 0;
}

async function end(
  auth: AuthConfig,
  asked: { readonly user: string; readonly issuer: string | undefined },
  terminal: Terminal,
): Promise<number> {
  const found = await findUser(auth, asked, terminal);
  if (found === 'several') return 1;
  const owner = found === undefined ? ownerAsGiven(auth, asked) : { user: found.user };
  const answer =
    owner === undefined
      ? { ended: 0 }
      : await askOperatorApi(auth, 'DELETE', `/sessions?${new URLSearchParams(owner)}`);
  if (answer.ended === 0)
    terminal.printError('no user who is signed in is called so; `postern sessions list` lists all');
  return printEnded(answer, terminal);
}

/** Sessions that began before an upgrade are in no list of all; a subject finds them. */
function ownerAsGiven(auth: AuthConfig, asked: { readonly user: string; readonly issuer: string | undefined }) {
  if (asked.user.includes('#')) return { user: asked.user };
  const [only, ...others] = auth.providers;
  const issuer = asked.issuer ?? (others.length === 0 ? only?.issuer : undefined);
  return issuer === undefined ? undefined : { issuer, subject: asked.user };
}

function printEnded({ ended }: Record<string, unknown>, terminal: Terminal): number {
  terminal.print(`${Number(ended)} session${ended === 1 ? '' : 's'} ended`);
  return 0;
}
