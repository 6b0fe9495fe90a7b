import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** An address that answers with any status once the program serves, or a question of one's own. */
  readonly ready: string | (() => Promise<boolean>);
  /** Only a 2xx of `ready` counts. */
  readonly readyOk?: boolean;
  /** What ends it; absent: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** Milliseconds until it must serve; absent: 50 seconds. */
  readonly patience?: number;
}

/** A program that the test started: its output is kept, and only it is ended. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #stopSignal: NodeJS.Signals;
  #output = '';

  constructor(name: string, process: ChildProcess, stopSignal: NodeJS.Signals = 'SIGTERM') {
    this.name = name;
    this.#stopSignal = stopSignal;
    this.#process = process;
    for (const stream of [process.stdout, process.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
  }

  /** All that it has written to standard output and standard error. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  get ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** @returns the exit code, or undefined where a signal ended it */
  async stop(signal: NodeJS.Signals = this.#stopSignal): Promise<number | undefined> {
    if (!this.ended) {
      const exit = once(this.#process, 'exit');
      this.#process.kill(signal);
      const cut = setTimeout(() => this.#process.kill('SIGKILL'), 15_000);
      await exit;
      clearTimeout(cut);
    }
    return this.#process.exitCode ?? undefined;
  }
}

/** @throws Error with the program's output where it ends, or does not serve in time */
export async function startChild(
  name: string,
  command: string,
  args: readonly string[],
  options: ChildOptions,
): Promise<Child> {
  const child = new Child(
    name,
    spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
    options.stopSignal,
  );
  const deadline = Date.now() + (options.patience ?? 50_000);
  while (Date.now() < deadline) {
    if (child.ended) throw new Error(`${name} ended before it served:\n${child.output}`);
    try {
      if (typeof options.ready === 'function') {
        if (await options.ready()) return child;
        await sleep(50);
        continue;
      }
      const answer = await fetch(options.ready, { signal: AbortSignal.timeout(2_000) });
      await answer.body?.cancel();
      if (answer.ok || options.readyOk !== true) return child;
    } catch {
      // Not there yet: asked again below.
    }
    await sleep(50);
  }
  await child.stop('SIGKILL');
  throw new Error(`${name} does not serve:\n${child.output}`);
}
