import { StringDecoder } from 'node:string_decoder';
import { withEscapedLineEnds } from '../protocol/escaped-line-ends.ts';

/** Makes the one event of a stream of JSON that comes in pieces. Between its tokens line ends are space (RFC 8259 §2). */
export class JsonEvent {
  readonly #decoder = new StringDecoder('utf8');
  #begun = false;

  push(piece: Buffer): Buffer {
    const field = this.#begun ? '' : 'data: ';
    this.#begun = true;
    return Buffer.from(field + oneLine(this.#decoder.write(piece)));
  }

  /** @returns the rest of the event */
  end(): string {
    return `${oneLine(this.#decoder.end())}\n\n`;
  }
}

function oneLine(json: string): string {
  return withEscapedLineEnds(json.replace(/[\r\n]/g, ' '));
}
