import { readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { configPath, INTERNAL_LISTEN, readConfigFile } from '../platform/config/config-file.ts';
import { type HostAndPort, parseAddress } from '../platform/config/host-and-port.ts';
import { ConfigurationError, PosternError } from '../platform/errors.ts';
import { isRecord } from '../platform/is-record.ts';
import { type Command, type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { reachableAddress } from './operator-client.ts';

/** Milliseconds: a process of this machine answers at once. */
const TIMEOUT = 2_000;
const PARTS = ['auth', 'relay'] as const;
type Part = (typeof PARTS)[number];

export const health: Command = {
  summary: 'say whether a process of this machine is ready: the health check of a container',
  usage: 'postern health [auth|relay] [--config FILE]',
  help: `Asks where the configuration has the process answer (\`auth.internalListen\`, \`relay.internalListen\`), and ends with 1
where it is not ready or does not answer. While the file cannot be read it asks where the environment or the default says.
Without a name, which process and configuration the container was started with.`,
  options: {},
  choices: ['auth', 'relay'],
  positionals: [0, 1],
  async run(line, terminal) {
    const { part, file } = await asked(line);
    const { listen, unread } = internalListen(part, file, terminal.env);
    const address = `${reachableAddress(listen)}/readyz`;
    const { ready, text } = await readiness(address).catch((cause: NodeJS.ErrnoException) => {
      if (unread !== undefined) throw unread;
      const why = cause.code ?? cause.name;
      throw new PosternError('health', `${part} does not answer at ${address} (${why})`, { expose: true, cause });
    });
    (ready ? terminal.print : terminal.printError)(`${part}: ${text}`);
    if (unread !== undefined) terminal.printError(unread.message);
    return ready ? 0 : 1;
  },
};

interface Listening {
  readonly listen: HostAndPort;
  /** Why the file says nothing now: somebody may be editing it, while the process goes on by what it has read. */
  readonly unread: ConfigurationError | undefined;
}

/** The schema, and so most of the program, is not loaded for this one key: a health check is made every few seconds. */
function internalListen(part: Part, file: string | undefined, env: Terminal['env']): Listening {
  const path = configPath(file, env);
  let content: unknown;
  let unread: ConfigurationError | undefined;
  try {
    content = path === undefined ? undefined : readConfigFile(path).content;
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    unread = error;
  }
  const section = isRecord(content) ? content[part] : undefined;
  const given = isRecord(section) ? section.internalListen : undefined;
  const text = env[`POSTERN_${part.toUpperCase()}_INTERNAL_LISTEN`] || (given ?? INTERNAL_LISTEN[part]);
  const address = typeof text === 'string' ? parseAddress(text) : undefined;
  if (address === undefined) throw new ConfigurationError([`${part}.internalListen: must be HOST:PORT`]);
  return { listen: address, unread };
}

async function asked(line: CommandLine): Promise<{ readonly part: Part; readonly file: string | undefined }> {
  const file = optionalText(line, 'config');
  const [name] = line.positionals;
  if (name !== undefined) {
    const part = PARTS.find((known) => known === name);
    if (part === undefined)
      throw new UsageError(`there are \`health auth\` and \`health relay\`, no \`health ${name}\``);
    return { part, file };
  }
  const started = startedWith(await readFile('/proc/1/cmdline', 'utf8').catch(() => ''));
  if (started === undefined)
    throw new UsageError('outside a container of Postern say which: `postern health auth` or `postern health relay`');
  return { part: started.part, file: file ?? started.file };
}

/**
 * @param commandLine of the container's first process, words ended by NUL (proc(5)); an init may stand before the program
 * @returns undefined where it is not one of the two processes
 */
export function startedWith(
  commandLine: string,
): { readonly part: Part; readonly file: string | undefined } | undefined {
  const words = commandLine.split('\0');
  const program = words.findIndex((word) => /(?:^|\/)postern(?:\.js)?$/.test(word));
  const rest = program === -1 ? [] : words.slice(program + 1);
  const at = rest.findIndex((word) => word === '--config' || word.startsWith('--config='));
  const file = at === -1 ? undefined : (/^--config=(.*)$/s.exec(rest[at] as string)?.[1] ?? rest[at + 1]);
  const part = PARTS.find((name) => rest.some((word, i) => word === name && rest[i - 1] !== '--config'));
  return part === undefined ? undefined : { part, file };
}

/** Node's own client, because `fetch` takes longer to load than the answer takes to come. */
function readiness(address: string): Promise<{ readonly ready: boolean; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const request = get(address, { signal: AbortSignal.timeout(TIMEOUT) }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      response.on('end', () =>
        resolve({ ready: response.statusCode === 200, text: summary(Buffer.concat(chunks).toString()) }),
      );
    });
    request.on('error', reject);
  });
}

/** `ready`, or what is missing: `not ready (store: does not answer)`. */
function summary(body: string): string {
  let report: unknown;
  try {
    report = JSON.parse(body);
  } catch {}
  if (!isRecord(report) || typeof report.status !== 'string') return 'another program answers there';
  const wrong = Object.entries(isRecord(report.dependencies) ? report.dependencies : {}).filter(
    ([, state]) => state !== 'ok',
  );
  return wrong.length === 0
    ? report.status
    : `${report.status} (${wrong.map(([name, state]) => `${name}: ${state}`).join(', ')})`;
}
