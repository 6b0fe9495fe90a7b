import { loadConfig } from '../platform/config/load.ts';
import type { Config } from '../platform/config/schema.ts';
import { ConfigurationError } from '../platform/errors.ts';
import { type Command, type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';

type Part = 'auth' | 'relay';

const WHERE = `Asks forward-auth at auth.internalListen with auth.operatorToken, and the relay at relay.internalListen with
relay.operatorToken. With Redis one of them is enough for all replicas of both; without it each must be asked.

  --user USER      the subject or the e-mail address of the user
  --provider ID    only as this provider's user; API keys and client certificates of that name are meant all the same
  --issuer URL     the same by the provider's issuer`;

const WHO = {
  user: { type: 'string' },
  provider: { type: 'string' },
  issuer: { type: 'string' },
} as const;

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
    ...WHO,
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
    const { user, issuer } = whom(config, line);
    const about = { until: optionalText(line, 'until'), reason: optionalText(line, 'reason') };
    const answers = await askAll(config, terminal, (part) =>
      askOperatorApi(config[part], 'POST', '/suspensions', { user, issuer, ...about }, part),
    );
    for (const [part, { ended }] of answers)
      terminal.print(
        part === 'auth'
          ? `suspended; ${count(ended, 'session')} ended`
          : `suspended; ${count(ended, 'stream')} of this relay ended`,
      );
    if (!answers.some(([, { ended }]) => Number(ended) > 0))
      terminal.printError(
        'nothing of this user was open: is it their subject or e-mail address, as /_postern/me has them?',
      );
    return told(config, answers, terminal);
  },
};

export const unsuspend: Command = {
  summary: 'let a suspended user in again',
  usage: 'postern unsuspend --user USER [--provider ID | --issuer URL]',
  help: WHERE,
  options: WHO,
  positionals: [0, 0],
  async run(line, terminal) {
    return lift(loadConfig(optionalText(line, 'config'), terminal.env).config, line, terminal);
  },
};

type Answers = ReadonlyArray<readonly [Part, Record<string, unknown>]>;

async function lift(config: Config, line: CommandLine, terminal: Terminal): Promise<number> {
  const { user, issuer } = whom(config, line);
  const query = new URLSearchParams(issuer === undefined ? { user } : { user, issuer });
  const answers = await askAll(config, terminal, (part) =>
    askOperatorApi(config[part], 'DELETE', `/suspensions?${query}`, undefined, part),
  );
  terminal.print('the user may sign in again');
  return told(config, answers, terminal);
}

async function list(config: Config, line: CommandLine, terminal: Terminal): Promise<number> {
  if (line.values.user !== undefined) throw new UsageError('--list goes without --user');
  const answers = await askAll(config, terminal, (part) =>
    askOperatorApi(config[part], 'GET', '/suspensions', undefined, part),
  );
  const lines = answers.flatMap(([, { suspensions }]) => (Array.isArray(suspensions) ? suspensions : []));
  for (const text of new Set(lines.map((one) => JSON.stringify(one)))) terminal.print(text);
  if (lines.length === 0) terminal.printError('no user is suspended');
  return 0;
}

function whom({ auth }: Config, line: CommandLine): { user: string; issuer: string | undefined } {
  const user = optionalText(line, 'user');
  if (user === undefined) throw new UsageError('whom? Give --user USER');
  const id = optionalText(line, 'provider');
  const issuer = optionalText(line, 'issuer');
  if (id !== undefined && issuer !== undefined) throw new UsageError('give one of --provider and --issuer');
  const found = auth.providers.find((provider) => provider.id === id);
  if (id !== undefined && found === undefined)
    throw new UsageError(
      `there is no provider "${id}" in auth.providers, but: ${auth.providers.map((known) => known.id).join(', ') || 'none'}`,
    );
  return { user, issuer: issuer ?? found?.issuer };
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
  const missing = [
    ...(asked.has('auth') ? [] : ['auth.operatorToken']),
    ...(asked.has('relay') || Object.keys(config.relay.servers).length === 0 ? [] : ['relay.operatorToken']),
  ];
  if (missing.length === 0) return 0;
  terminal.printError(
    `there is no Redis, so the processes do not tell each other, and not all of them answered: set ${missing.join(', ')}, or \`redis\`, and try again`,
  );
  return 1;
}

function count(ended: unknown, what: string): string {
  return `${Number(ended)} ${what}${ended === 1 ? '' : 's'}`;
}
