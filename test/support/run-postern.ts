import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { POSTERN_COMMAND } from './postern-process.ts';

const HOME = fileURLToPath(new URL('../..', import.meta.url));

/** No setting of the machine that runs the tests may reach the command. */
export function cleanEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { PATH, TMPDIR } = process.env;
  return { PATH, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...extra };
}

export interface RunningPostern {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Resolves once standard output matches. Rejects, with all output, where the process ends before. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

export function startPostern(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = HOME): RunningPostern {
  const child = spawn(process.execPath, [...POSTERN_COMMAND, ...args], {
    env: cleanEnvironment(env),
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => (signal ?? code) as number | string);
  return {
    child,
    pid: child.pid as number,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(stdout);
          if (match !== null) resolve(match);
        };
        child.stdout.on('data', look);
        look();
        void ended.then((how) => reject(new Error(`ended with ${how}\n${stdout}\n${stderr}`)));
      }),
  };
}

export async function runPostern(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd = HOME,
): Promise<{ code: number | string; stdout: string; stderr: string }> {
  const running = startPostern(args, env, cwd);
  const code = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}
