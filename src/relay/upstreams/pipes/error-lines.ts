import type { Readable } from 'node:stream';
import type { Logger } from '../../../platform/log.ts';
import { Pace } from '../pace.ts';
import { LineSplitter } from './line-splitter.ts';

/** Lines of standard error in the log for each minute, and characters of each: a program may say anything without end. */
const LINES = 60;
const LENGTH = 500;
/** Characters of a line that are held. */
const HELD = 64 * 1024;
const MINUTE = 60_000;

/** Puts what a program writes to its standard error into the log, as much of it as a log can bear. */
export class ErrorLines {
  readonly #server: string;
  readonly #log: Logger;
  readonly #pace: Pace;
  #since = Date.now();
  #lines = 0;

  constructor(errors: Readable | null, { server, log }: { readonly server: string; readonly log: Logger }) {
    this.#server = server;
    this.#log = log;
    this.#pace = new Pace({ pause: () => errors?.pause(), resume: () => errors?.resume() });
    const splitter = new LineSplitter(HELD, {
      line: (text) => this.#take(text),
      oversized: () => this.#take('a line that is too long'),
      noise: () => {},
    });
    errors?.on('data', (chunk: Buffer) => this.#pace.run(() => splitter.push(chunk)));
  }

  close(): void {
    this.#pace.stop();
  }

  #take(line: string): void {
    if (Date.now() - this.#since > MINUTE) {
      const left = this.#lines - LINES;
      if (left > 0) this.#log.warn({ server: this.#server, left }, 'lines of an MCP server were left out');
      this.#since = Date.now();
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= LINES)
      this.#log.info({ server: this.#server, line: line.slice(0, LENGTH) }, 'an MCP server says');
  }
}
