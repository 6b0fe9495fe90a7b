import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Logger } from '../../../platform/log.ts';
import { LineSplitter } from './line-splitter.ts';
import type { OpenPipe, Pipe, PipeEvents } from './pipe.ts';

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
/** Lines of standard error in the log for each minute, and characters of each: a program may say anything without end. */
const ERROR_LINES = 60;
const ERROR_LENGTH = 500;
const MINUTE = 60_000;

/** Starts the program in a process group of its own, so that what it starts ends with it. */
export function childProcessPipe(command: Command, options: ChildProcessOptions): OpenPipe {
  return async (events) => {
    const child = spawn(command.command, command.args, {
      cwd: command.cwd,
      env: command.env,
      stdio: 'pipe',
      detached: true,
    });
    await once(child, 'spawn');
    return new ChildProcessPipe(child, events, options);
  };
}

class ChildProcessPipe implements Pipe {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #grace: number;
  readonly #exit: Promise<unknown>;
  #closing: Promise<void> | undefined;

  constructor(child: ChildProcessWithoutNullStreams, events: PipeEvents, options: ChildProcessOptions) {
    const { limit, server, log, grace = GRACE } = options;
    this.#child = child;
    this.#grace = grace;
    this.#exit = once(child, 'close');
    let told = false;
    const closed = (why: string) => {
      if (told || this.#closing !== undefined) return;
      told = true;
      events.closed(new Error(why));
      void this.close();
    };
    const lines = new LineSplitter(
      limit,
      (line) => events.message(line),
      () => closed(`a message of the program is longer than ${limit} characters`),
    );
    child.stdout.on('data', (chunk: Buffer) => lines.push(chunk));
    logErrors(child, { server, log });
    // Written to a program that is gone; `close` tells.
    child.stdin.on('error', () => {});
    child.on('error', (error) => closed(error.message));
    child.once('close', (code, signal) => closed(`the program ended (${signal ?? `exit code ${code}`})`));
  }

  get waiting(): number {
    return this.#child.stdin.writableLength;
  }

  send(text: string): void {
    if (this.#child.stdin.writable) this.#child.stdin.write(`${text}\n`);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** As the specification asks: its input ends, then SIGTERM, then SIGKILL (basic/lifecycle, shutdown). */
  async #end(): Promise<void> {
    this.#child.stdin.end();
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (await this.#ended()) break;
      this.#signal(signal);
    }
    await this.#exit;
    // What the program started may outlive it.
    this.#signal('SIGKILL');
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

function logErrors(child: ChildProcessWithoutNullStreams, { server, log }: { server: string; log: Logger }): void {
  let since = Date.now();
  let lines = 0;
  const splitter = new LineSplitter(
    64 * 1024,
    (line) => {
      if (Date.now() - since > MINUTE) {
        if (lines > ERROR_LINES)
          log.warn({ server, left: lines - ERROR_LINES }, 'lines of an MCP server were left out');
        since = Date.now();
        lines = 0;
      }
      lines += 1;
      if (lines <= ERROR_LINES) log.info({ server, line: line.slice(0, ERROR_LENGTH) }, 'an MCP server says');
    },
    () => {},
  );
  child.stderr.on('data', (chunk: Buffer) => splitter.push(chunk));
}
