import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The one core of the server under test; everything else runs on the other. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

/** Gets a CPU profile of each measured run of a Node process, without its start; undefined: none is written. */
const PROFILES = process.env.BENCH_PROFILE;
const PROFILER = fileURLToPath(new URL('./profile.mjs', import.meta.url));

/** A program on a core of its own. */
export interface Target {
  /** Microseconds of processor time that it has used, its own and the system's for it; NaN where this system does not tell. */
  cpuMicros?(): number;
  /** Begins a CPU profile, or ends it; absent where none is asked for. */
  toggleProfile?(): void;
  stop(): Promise<void>;
}

/**
 * @param ready an address that answers once it serves, or a port that takes connections
 * @throws Error with the program's output where it does not within 20 seconds
 */
export async function startTarget(
  core: number,
  command: string,
  args: readonly string[],
  ready: string | { readonly host: string; readonly port: number },
  env: Readonly<Record<string, string>> = {},
): Promise<Target> {
  const profiled = PROFILES !== undefined && command === process.execPath;
  const profiler = profiled ? ['--import', PROFILER] : [];
  const child: ChildProcess = spawn('taskset', ['-c', String(core), command, ...profiler, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk).slice(-20_000);
    });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    const cut = setTimeout(() => child.kill('SIGKILL'), 12_000);
    await exit;
    clearTimeout(cut);
  };
  for (let attempt = 0; attempt < 400; attempt++) {
    if (child.exitCode !== null) break;
    if (await answers(ready))
      return {
        stop,
        cpuMicros: () => cpuMicros(child.pid as number),
        ...(profiled ? { toggleProfile: () => void child.kill('SIGUSR2') } : {}),
      };
    await sleep(50);
  }
  await stop();
  throw new Error(`${command} ${args.join(' ')} does not serve:\n${output}`);
}

async function answers(url: string | { readonly host: string; readonly port: number }): Promise<boolean> {
  if (typeof url !== 'string')
    return new Promise((resolve) => {
      const socket = connect(url, () => {
        resolve(true);
        socket.destroy();
      });
      socket.once('error', () => resolve(false));
    });
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await answer.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/** Fields 14 and 15 of proc(5)'s `stat`, in ticks of a hundredth of a second, counted behind the name, which may hold spaces. */
function cpuMicros(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  } catch {
    return Number.NaN;
  }
}
