import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LOAD_CORE } from './target.ts';

const run = promisify(execFile);

export interface Load {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Authorization values used one after the other; each once while they last. */
  readonly tokens?: readonly string[];
  /** Asked over gRPC at this port instead, with the question in this file. */
  readonly grpc?: { readonly port: number; readonly file: string };
  readonly connections: number;
  readonly seconds: number;
  /** The only status that counts as success. */
  readonly expect: number;
}

export interface Measured {
  readonly perSecond: number;
  readonly requests: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export async function hasWrk(): Promise<boolean> {
  return run('wrk', ['--version']).then(
    () => true,
    // wrk prints its version with exit code 1.
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
}

/**
 * One short run of wrk on the load core. Refusals are counted, because a server that refuses quickly would look fast.
 *
 * @throws Error where an answer had another status
 */
export async function wrk(load: Load): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  try {
    const script = join(folder, 'load.lua');
    await writeFile(script, lua(load, join(folder, 'tokens')));
    await writeFile(join(folder, 'tokens'), (load.tokens ?? []).join('\n'));
    const { stdout } = await run('taskset', [
      '-c',
      String(LOAD_CORE),
      'wrk',
      '-t1',
      `-c${load.connections}`,
      `-d${load.seconds}s`,
      '--timeout',
      '10s',
      '-s',
      script,
      load.url,
    ]);
    return parse(stdout, load.expect);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A load generator of our own where wrk is absent: figures are lower, and ratios closer to one. */
export async function nodeLoad(load: Load): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  try {
    const file = join(folder, 'load.json');
    await writeFile(file, JSON.stringify(load));
    const program = new URL('./node-load.ts', import.meta.url).pathname;
    const args = ['-c', String(LOAD_CORE), process.execPath, '--import', 'tsx', program, file];
    const { stdout } = await run('taskset', args, { maxBuffer: 1 << 20 });
    return JSON.parse(stdout) as Measured;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function lua(load: Load, tokens: string): string {
  const headers = Object.entries(load.headers ?? {}).map(([name, value]) => `wrk.headers[${q(name)}] = ${q(value)}`);
  const rotating =
    load.tokens === undefined
      ? ''
      : `local tokens = {}
for line in io.lines(${q(tokens)}) do tokens[#tokens + 1] = line end
local at = 0
function request()
  at = at % #tokens + 1
  wrk.headers["Authorization"] = tokens[at]
  return wrk.format()
end`;
  return `wrk.method = ${q(load.method ?? 'GET')}
${load.body === undefined ? '' : `wrk.body = ${q(load.body)}`}
${headers.join('\n')}
${rotating}
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format("RESULT %d %d %f %f %d %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
`;
}

function q(text: string): string {
  return JSON.stringify(text);
}

function parse(output: string, expect: number): Measured {
  const result = /RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+) (\d+)/.exec(output);
  if (result === null) throw new Error(`wrk printed no result:\n${output}`);
  const [requests, micros, p50, p99, refused, errors] = result.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  // wrk counts answers of 400 and above.
  const wrong = expect < 400 ? refused : requests - refused;
  if (requests === 0 || wrong > 0) throw new Error(`${wrong} of ${requests} answers were not the expected ${expect}`);
  if (errors > 0) throw new Error(`${errors} connections failed`);
  return { requests, perSecond: requests / (micros / 1e6), p50: p50 / 1000, p99: p99 / 1000 };
}
