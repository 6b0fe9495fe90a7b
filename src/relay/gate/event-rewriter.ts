import { StringDecoder } from 'node:string_decoder';

/** Returns the data that goes on in place of this, or the same text. */
export type RewriteData = (data: string) => string;

/**
 * Reads an event stream (HTML §9.2) event by event and gives each on as it came, unless its data are to be others. What
 * does not end is no event and is not given on.
 */
export class EventRewriter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #limit: number;
  readonly #rewrite: RewriteData;
  #event = '';
  #line = '';
  #afterReturn = false;

  /** @param limit characters of one event */
  constructor(limit: number, rewrite: RewriteData) {
    this.#limit = limit;
    this.#rewrite = rewrite;
  }

  /** @throws RangeError where an event is longer than the limit */
  push(chunk: Buffer): string {
    let text = this.#decoder.write(chunk);
    if (this.#afterReturn && text.startsWith('\n')) text = text.slice(1);
    if (text !== '') this.#afterReturn = text.endsWith('\r');
    let out = '';
    const lines = text.split(/\r\n|\r|\n/);
    for (const [index, part] of lines.entries()) {
      this.#line += part;
      if (index === lines.length - 1) break;
      if (this.#line === '') {
        out += this.#finished();
      } else this.#event += `${this.#line}\n`;
      this.#line = '';
    }
    if (this.#event.length + this.#line.length > this.#limit)
      throw new RangeError(`an event of the answer is larger than ${this.#limit} bytes`);
    return out;
  }

  #finished(): string {
    const event = this.#event;
    this.#event = '';
    const lines = event.split('\n').slice(0, -1);
    const data = lines.filter(isData).map((line) => line.replace(/^data:? ?/, ''));
    if (data.length === 0) return `${event}\n`;
    const text = data.join('\n');
    const rewritten = this.#rewrite(text);
    if (rewritten === text) return `${event}\n`;
    const others = lines.filter((line) => !isData(line)).map((line) => `${line}\n`);
    return `${others.join('')}data: ${rewritten}\n\n`;
  }
}

function isData(line: string): boolean {
  return line === 'data' || line.startsWith('data:');
}
