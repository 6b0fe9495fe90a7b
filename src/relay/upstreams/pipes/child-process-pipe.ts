import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Logger } from '../../../platform/log.ts';
import { ErrorLines } from './error-lines.ts';
import { LineSplitter } from './line-splitter.ts';
import type { OpenPipe, Pipe, PipeEvents } from './pipe.ts';
import { ProgramEnded, ServerNotStarted } from './server-not-started.ts';

/** A program that speaks MCP over its standard input and output. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  /** All that it gets: nothing of the relay's own environment comes along by itself. */
  readonly env: Readonly<Record<string, string>>;
}

export interface ChildProcessOptions {
  /** The configured name, for the log. */
  readonly server: string;
  readonly log: Logger;
  /** Characters of one message. */
  readonly limit: number;
  /** Milliseconds for the program to end after its input has, and again after SIGTERM. */
  readonly grace?: number;
}

const GRACE = 2_000;
/** Milliseconds for the last output of a program that has ended; what it started may keep its output open for ever. */
const LAST_WORDS = 250;

/** Starts the program in a process group of its own, so that what it starts ends with it. */
export function childProcessPipe(command: Command, options: ChildProcessOptions): OpenPipe {
  return async (events) => {
    const child = spawn(command.command, command.args, {
      cwd: command.cwd,
      env: command.env,
      stdio: 'pipe',
      detached: true,
    });
    const pipe = new ChildProcessPipe(child, events, options);
    await pipe.started;
    return pipe;
  };
}

class ChildProcessPipe implements Pipe {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #grace: number;
  readonly #exit: Promise<void>;
  readonly #errors: ErrorLines;
  /** Rejects where the program cannot be started. */
  readonly started: Promise<void>;
  #closing: Promise<void> | undefined;

  /** Every listener is there before anything can happen, and stays. */
  constructor(child: ChildProcessWithoutNullStreams, events: PipeEvents, options: ChildProcessOptions) {
    const { limit, grace = GRACE } = options;
    this.#child = child;
    this.#grace = grace;
    let told = false;
    const closed = (why: string) => {
      if (told || this.#closing !== undefined) return;
      told = true;
      events.closed(new ProgramEnded(why));
      void this.close();
    };
    let fail: (error: Error) => void = () => {};
    let exited = () => {};
    this.#exit = new Promise((resolve) => {
      exited = resolve;
    });
    this.started = new Promise((resolve, reject) => {
      fail = reject;
      child.once('spawn', resolve);
    });
    let running = false;
    child.once('spawn', () => {
      running = true;
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (running) return closed(error.message);
      exited();
      fail(new ServerNotStarted(whyNotStarted(error), error));
    });
    child.once('exit', (code, signal) => {
      const why = `its program ended (${signal ?? `exit code ${code}`})`;
      exited();
      setTimeout(() => closed(why), LAST_WORDS).unref();
      child.once('close', () => closed(why));
    });
    // Without file descriptors a process has no streams.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on('error', () => {});
    const lines = new LineSplitter(limit, {
      line: (text) => events.message(text),
      oversized: (message) => events.oversized(message),
      noise: (characters) => events.noise(characters),
    });
    child.stdout?.on('data', (chunk: Buffer) =>
      events.read(() => {
        lines.push(chunk);
        events.pending(lines.pending);
      }),
    );
    this.#errors = new ErrorLines(child.stderr, options);
  }

  get waiting(): number {
    return this.#child.stdin.writableLength;
  }

  send(text: string): void {
    if (this.#child.stdin.writable) this.#child.stdin.write(`${text}\n`);
  }

  pause(): void {
    this.#child.stdout.pause();
  }

  resume(): void {
    this.#child.stdout.resume();
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** As the specification asks: its input ends, then SIGTERM, then SIGKILL (basic/lifecycle, shutdown). */
  async #end(): Promise<void> {
    const { stdin, stdout } = this.#child;
    stdin.end();
    stdout.removeAllListeners('data');
    // A program that floods is not read for as long as it takes to end it; what another still says is dropped.
    if (stdout.isPaused()) stdout.destroy();
    else stdout.resume();
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (await this.#ended()) break;
      this.#signal(signal);
    }
    await this.#exit;
    // What the program started may outlive it.
    this.#signal('SIGKILL');
    this.#errors.close();
    for (const stream of this.#child.stdio) stream?.destroy();
  }

  async #ended(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), this.#grace);
    });
    const ended = await Promise.race([this.#exit.then(() => true), late]);
    clearTimeout(timer);
    return ended;
  }

  /** To the whole group. */
  #signal(signal: NodeJS.Signals): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, signal);
    } catch {
      // Nobody is left in it.
    }
  }
}

/** What the system says of a program that it cannot start, for the client: no path and no argument. */
function whyNotStarted({ code }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'its program, or the folder it should start in, is not there';
  if (code === 'EACCES') return 'its program may not be executed';
  return `the system refuses it (${code ?? 'unknown error'})`;
}
