import { StringDecoder } from 'node:string_decoder';

/** Splits a stream of bytes into lines of text, of which one is a message (basic/transports, stdio). */
export class LineSplitter {
  readonly #limit: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: () => void;
  readonly #decoder = new StringDecoder('utf8');
  #held: string[] = [];
  #size = 0;
  #skipping = false;

  /**
   * @param limit characters of one line
   * @param onTooLong called once for each line that is longer, which is left out
   */
  constructor(limit: number, onLine: (line: string) => void, onTooLong: () => void) {
    this.#limit = limit;
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  push(chunk: Buffer): void {
    const parts = this.#decoder.write(chunk).split('\n');
    for (const [index, part] of parts.entries()) {
      this.#hold(part);
      if (index < parts.length - 1) this.#end();
    }
  }

  #hold(part: string): void {
    if (this.#skipping || part === '') return;
    this.#size += part.length;
    if (this.#size > this.#limit) {
      this.#skipping = true;
      this.#held = [];
      this.#onTooLong();
    } else this.#held.push(part);
  }

  #end(): void {
    const line = this.#held.join('').replace(/\r$/, '');
    const wanted = !this.#skipping && line.trim() !== '';
    this.#held = [];
    this.#size = 0;
    this.#skipping = false;
    if (wanted) this.#onLine(line);
  }
}
