/**
 * Returns the data that goes on in place of this, or the same text; undefined: none does.
 *
 * @param bytes the data as it came
 */
export type RewriteData = (data: string, bytes: Buffer) => string | undefined;

/** U+FEFF in UTF-8, byte by byte; readers skip it where a stream begins with it (HTML §9.2.5). */
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

/** Comments, and the fields that there are. Any other line means nothing here, and to a reader that skips more marks perhaps data. */
const KNOWN_LINE = /^(?::|(?:data|event|id|retry)(?::|$))/;

/**
 * What ends a line for some readers and not for HTML: U+000B, U+000C, U+001C to U+001E, U+0085, U+2028 and U+2029 in UTF-8, byte by
 * byte. Python's `str.splitlines` is one, and MCP clients have read streams with it.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const OTHER_LINE_END = /[\x0b\x0c\x1c-\x1e]|\u00c2\u0085|\u00e2\u0080[\u00a8\u00a9]/;

/**
 * Reads an event stream (HTML §9.2) event by event and gives each on, with other data where it is to have them, and without lines
 * that mean nothing or that readers split in different ways. What does not end is no event and is not given on. Texts here hold one
 * byte in each character, so that nothing of the data that pass is changed and no character is cut.
 */
export class EventRewriter {
  readonly #limit: number;
  readonly #rewrite: RewriteData;
  #event = '';
  #line = '';
  #afterReturn = false;
  #begun = false;

  /** @param limit bytes of one event */
  constructor(limit: number, rewrite: RewriteData) {
    this.#limit = limit;
    this.#rewrite = rewrite;
  }

  /** Bytes of the event that has begun. */
  get pending(): number {
    return this.#event.length + this.#line.length;
  }

  /** It is longer than the limit. */
  get overflows(): boolean {
    return this.pending > this.#limit;
  }

  push(chunk: Buffer): Buffer {
    let text = chunk.toString('latin1');
    if (this.#afterReturn && text.startsWith('\n')) text = text.slice(1);
    if (text !== '') this.#afterReturn = text.endsWith('\r');
    let out = '';
    const lines = text.split(/\r\n|\r|\n/);
    for (const [index, part] of lines.entries()) {
      this.#line += part;
      if (index === lines.length - 1) break;
      if (!this.#begun) this.#line = this.#line.replace(BYTE_ORDER_MARK, '');
      this.#begun = true;
      if (this.#line === '') out += this.#finished();
      else this.#event += `${this.#line}\n`;
      this.#line = '';
    }
    return Buffer.from(out, 'latin1');
  }

  /** What has come of an event that has not ended. */
  rest(): Buffer {
    return Buffer.from(this.#event + this.#line, 'latin1');
  }

  #finished(): string {
    const event = this.#event;
    this.#event = '';
    const lines = event.split('\n').slice(0, -1).filter(isSafe);
    const data = lines.filter(isData).map((line) => line.replace(/^data:? ?/, ''));
    if (data.length === 0) return asLines(lines);
    const bytes = Buffer.from(data.join('\n'), 'latin1');
    const text = bytes.toString();
    const rewritten = this.#rewrite(text, bytes);
    if (rewritten === text) return asLines(lines);
    const others = lines.filter((line) => !isData(line));
    // Without data it is no event (HTML §9.2.6), but its id still says where the stream may be taken up again.
    if (rewritten === undefined) return asLines(others);
    return asLines([...others, `data: ${Buffer.from(rewritten).toString('latin1')}`]);
  }
}

/** Data are judged as they are; of what else there is nothing has to go on. */
function isSafe(line: string): boolean {
  return KNOWN_LINE.test(line) && (isData(line) || !OTHER_LINE_END.test(line));
}

function asLines(lines: readonly string[]): string {
  return lines
    .map((line) => `${line}\n`)
    .concat('\n')
    .join('');
}

function isData(line: string): boolean {
  return line === 'data' || line.startsWith('data:');
}
