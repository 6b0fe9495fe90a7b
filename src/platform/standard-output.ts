import type { Writable } from 'node:stream';

/** Bytes that may wait for whoever reads the log. */
const MAX_WAITING = 4 * 1024 * 1024;

/**
 * Where the log goes. Never waits, and never fails: a reader that does not read costs lines and not memory, and one that has gone,
 * or that blocks, keeps no process from going on or from ending.
 */
export class StandardOutput {
  readonly #out: Writable;
  readonly #onDropped: (lines: number) => void;
  #dropped = 0;

  /** @param onDropped told once there is room again */
  constructor(onDropped: (lines: number) => void, out: Writable = process.stdout) {
    this.#out = out;
    this.#onDropped = onDropped;
    out.on('error', () => {});
    out.on('drain', () => this.#tell());
  }

  write(line: string): void {
    if (this.#out.writableLength > MAX_WAITING) this.#dropped += 1;
    else if (this.#out.writable) this.#out.write(line);
  }

  #tell(): void {
    const lines = this.#dropped;
    this.#dropped = 0;
    if (lines > 0) this.#onDropped(lines);
  }
}
