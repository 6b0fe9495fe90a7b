import { StringDecoder } from 'node:string_decoder';
import { ENDLESS, type OversizedMessage, OversizedScan } from '../../protocol/oversized-message.ts';

export interface LineEvents {
  /** One line without its end. */
  line(text: string): void;
  /** Characters of blank lines, and of one that does not end. */
  noise(characters: number): void;
  /** The end of a line that was too long to be kept. */
  oversized(message: OversizedMessage): void;
}

/** Splits a stream of bytes into lines of text, of which one is a message (basic/transports, stdio). */
export class LineSplitter {
  readonly #limit: number;
  readonly #events: LineEvents;
  readonly #decoder = new StringDecoder('utf8');
  #held: string[] = [];
  #size = 0;
  #scan: OversizedScan | undefined;

  /** @param limit characters of one line */
  constructor(limit: number, events: LineEvents) {
    this.#limit = limit;
    this.#events = events;
  }

  /** Characters of the line that has begun. */
  get pending(): number {
    return this.#scan === undefined ? this.#size : 0;
  }

  push(chunk: Buffer): void {
    const parts = this.#decoder.write(chunk).split('\n');
    for (const [index, part] of parts.entries()) {
      this.#hold(part);
      if (index < parts.length - 1) this.#end();
    }
  }

  #hold(part: string): void {
    if (this.#scan !== undefined) {
      this.#scan.push(part);
      if (this.#scan.size > this.#limit * ENDLESS) this.#events.noise(part.length);
      return;
    }
    this.#size += part.length;
    this.#held.push(part);
    if (this.#size <= this.#limit) return;
    this.#scan = new OversizedScan();
    for (const held of this.#held) this.#scan.push(held);
    this.#held = [];
  }

  #end(): void {
    const scan = this.#scan;
    const line = this.#held.join('');
    this.#held = [];
    this.#size = 0;
    this.#scan = undefined;
    if (scan !== undefined) this.#events.oversized(scan.end());
    else if (line.trim() === '') this.#events.noise(line.length + 1);
    else this.#events.line(line.endsWith('\r') ? line.slice(0, -1) : line);
  }
}
