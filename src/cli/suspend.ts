import { loadConfig } from '../platform/config/load.ts';
import type { Config } from '../platform/config/schema.ts';
import { ConfigurationError, PosternError } from '../platform/errors.ts';
import { type Command, type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';
import { findUser, issuerIn, USER_HELP, USER_OPTIONS } from './people.ts';

type Part = 'auth' | 'relay';

const WHERE = `Asks forward-auth at auth.internalListen with auth.operatorToken, and the relay at relay.internalListen with
relay.operatorToken. With Redis one of them is enough for all replicas of both; without it each must be asked.

${USER_HELP}

A user who is signed in or known otherwise is suspended as who they are; a name that no known user has is suspended as it is: every user
who comes with it as subject, username or e-mail address. API keys and client certificates of the same subject are meant too.`;

export const suspend: Command = {
  summary: 'end everything of a user at once and keep them out, or list who is suspended',
  usage: 'postern suspend --user USER [options] | --list',
  help: `Ends the sessions and streams of a user in all processes, and refuses whatever they show next with 403: a new sign-in, bearer
tokens, API keys, client certificates.

${WHERE}
  --until TIME     2026-12-01T09:00:00Z, or a span such as 8h; absent: until it is lifted
  --reason TEXT    for the list and the log; the user is not told
  --lift           let the user in again; the same as \`postern unsuspend\`
  --list           who is suspended, as JSON, one a line`,
  options: {
    ...USER_OPTIONS,
    until: { type: 'string' },
    reason: { type: 'string' },
    lift: { type: 'boolean' },
    list: { type: 'boolean' },
  },
  positionals: [0, 0],
  async run(line, terminal) {
    const { config } = loadConfig(optionalText(line, 'config'), terminal.env);
    if (line.values.list === true) return list(config, line, terminal);
    if (line.values.lift === true) return lift(config, line, terminal);
    const meant = await resolve(config, whom(config, line), terminal);
    if (meant === undefined) return 1;
    const about = { until: optionalText(line, 'until'), reason: optionalText(line, 'reason') };
    const answers = await askAll(config, terminal, (part) =>
      askOperatorApi(config[part], 'POST', '/suspensions', { ...meant, ...about }, part),
    );
    for (const [part, { ended }] of answers)
      terminal.print(
        part === 'auth'
          ? `suspended; ${count(ended, 'session')} ended`
          : `suspended; ${count(ended, 'stream')} of this relay ended`,
      );
    if (!answers.some(([, { ended }]) => Number(ended) > 0))
      terminal.printError(
        'nothing of this user was open: is it who you mean? `postern sessions list` lists who is signed in',
      );
    return told(config, answers, terminal);
  },
};

export const unsuspend: Command = {
  summary: 'let a suspended user in again',
  usage: 'postern unsuspend --user USER [--provider ID | --issuer URL]',
  help: WHERE,
  options: USER_OPTIONS,
  positionals: [0, 0],
  async run(line, terminal) {
    return lift(loadConfig(optionalText(line, 'config'), terminal.env).config, line, terminal);
  },
};

type Answers = ReadonlyArray<readonly [Part, Record<string, unknown>]>;

async function lift(config: Config, line: CommandLine, terminal: Terminal): Promise<number> {
  const { user, issuer } = whom(config, line);
  const query = new URLSearchParams(issuer === undefined ? { user } : { user, issuer });
  const unknown: PosternError[] = [];
  // Not suspended there: with Redis because the other process has just told all, without because only the other knew.
  const answers = await askAll(config, terminal, (part) =>
    askOperatorApi(config[part], 'DELETE', `/suspensions?${query}`, undefined, part).catch((error: unknown) => {
      if (!(error instanceof PosternError && error.status === 404)) throw error;
      unknown.push(error);
      return {};
    }),
  );
  if (unknown.length === answers.length) throw unknown[0];
  terminal.print('the user may sign in again');
  return told(config, answers, terminal);
}

async function list(config: Config, line: CommandLine, terminal: Terminal): Promise<number> {
  if (line.values.user !== undefined) throw new UsageError('--list goes without --user');
  const answers = await askAll(config, terminal, (part) =>
    askOperatorApi(config[part], 'GET', '/suspensions', undefined, part),
  );
  const all = answers.flatMap(([, { suspensions }]) => (Array.isArray(suspensions) ? suspensions : []));
  // Without Redis each process has its own, of almost the same time.
  const byUser = new Map(all.reverse().map((one) => [one.user, one]));
  for (const one of [...byUser.values()].reverse()) terminal.print(JSON.stringify(one));
  if (all.length === 0) terminal.printError('no user is suspended');
  return 0;
}

function whom({ auth }: Config, line: CommandLine): { user: string; issuer: string | undefined } {
  const user = optionalText(line, 'user');
  if (user === undefined) throw new UsageError('whom? Give --user USER');
  return { user, issuer: issuerIn(auth, line) };
}

/** Who is called so, where forward-auth can be asked and knows; otherwise the name as it is. @returns undefined: several are, and were told */
async function resolve(
  { auth }: Config,
  asked: { readonly user: string; readonly issuer: string | undefined },
  terminal: Terminal,
): Promise<{ user: string } | undefined> {
  if (auth.operatorToken === undefined) return asked;
  const found = await findUser(auth, asked, terminal).catch((error: unknown) => {
    terminal.printError((error as Error).message);
    return undefined;
  });
  if (found === 'several') return undefined;
  if (found !== undefined) terminal.printError(`this is ${JSON.stringify(found)}`);
  return found ?? asked;
}

/** One that shares its store tells all others; otherwise each that can be asked is. @throws what all of them have thrown */
async function askAll(
  config: Config,
  terminal: Terminal,
  ask: (part: Part) => Promise<Record<string, unknown>>,
): Promise<Answers> {
  const parts = (['auth', 'relay'] as const).filter((part) => config[part].operatorToken !== undefined);
  if (parts.length === 0)
    throw new ConfigurationError([
      'auth.operatorToken: needed here and in the running forward-auth (or relay.operatorToken)',
    ]);
  const answers: Array<readonly [Part, Record<string, unknown>]> = [];
  const failures: unknown[] = [];
  for (const part of parts)
    try {
      answers.push([part, await ask(part)]);
    } catch (error) {
      failures.push(error);
    }
  if (answers.length === 0) throw failures[0];
  for (const failure of failures) terminal.printError((failure as Error).message);
  return answers;
}

/** @returns the exit code: 1 where a process does not know of it */
function told(config: Config, answers: Answers, terminal: Terminal): number {
  if (answers.some(([, { shared }]) => shared === true)) return 0;
  const asked = new Set(answers.map(([part]) => part));
  const used = (['auth', 'relay'] as const).filter(
    (part) => part === 'auth' || Object.keys(config.relay.servers).length > 0,
  );
  const missing = used
    .filter((part) => !asked.has(part))
    .map((part) =>
      config[part].operatorToken === undefined ? `set ${part}.operatorToken` : `start \`postern ${part}\``,
    );
  if (missing.length === 0) return 0;
  terminal.printError(
    `there is no Redis, so the processes do not tell each other, and not all of them answered: ${missing.join(', ')}, or set \`redis\`, and try again`,
  );
  return 1;
}

function count(ended: unknown, what: string): string {
  return `${Number(ended)} ${what}${ended === 1 ? '' : 's'}`;
}
