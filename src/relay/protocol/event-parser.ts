import { StringDecoder } from 'node:string_decoder';
import { ENDLESS, type OversizedMessage, OversizedScan } from './oversized-message.ts';

/** One event of a stream (HTML §9.2.6). `data` is empty for an event that only moves `lastEventId` on. */
export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

/** What else a stream holds. */
export interface OtherEvents {
  /** An event that is larger than the limit, and is left out. */
  oversized(message: OversizedMessage): void;
  /** Characters of comments, and of an event that does not end. */
  noise(characters: number): void;
}

/** Stands for a line that was not kept: no line can hold its own end. */
const OVERSIZED = '\n';

/** Splits an event stream into events. Lines end in LF, CR or CRLF; what is not whole is kept for the next piece. */
export class EventParser {
  readonly #limit: number;
  readonly #onEvent: (event: StreamEvent) => void;
  readonly #other: OtherEvents | undefined;
  readonly #decoder = new StringDecoder('utf8');
  #line: string[] = [];
  #data: string[] = [];
  #type = '';
  #id: string | undefined;
  #held = 0;
  #afterCarriageReturn = false;
  #first = true;
  #scan: OversizedScan | undefined;
  /** Where the stream may be taken up again (`Last-Event-ID`). */
  lastEventId: string | undefined;
  /** Milliseconds that the server asks for before that. */
  retry: number | undefined;

  /**
   * @param limit characters of one event
   * @param other absent: an event that is larger ends the stream
   */
  constructor(limit: number, onEvent: (event: StreamEvent) => void, other?: OtherEvents) {
    this.#limit = limit;
    this.#onEvent = onEvent;
    this.#other = other;
  }

  /** Characters of the event that has begun. */
  get pending(): number {
    return this.#scan === undefined ? this.#held : 0;
  }

  /** @throws RangeError where one event is larger than the limit and nobody is told of it */
  push(chunk: Buffer): void {
    let text = this.#decoder.write(chunk);
    if (text === '') return;
    if (this.#first && text.startsWith('\ufeff')) text = text.slice(1);
    this.#first = false;
    let start = this.#afterCarriageReturn && text.startsWith('\n') ? 1 : 0;
    this.#afterCarriageReturn = text.endsWith('\r');
    const ends = /\r\n|\n|\r/g;
    ends.lastIndex = start;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#hold(text.slice(start, end.index));
      this.#endLine();
      start = ends.lastIndex;
    }
    this.#hold(text.slice(start));
  }

  #hold(part: string): void {
    if (part === '') return;
    this.#held += part.length;
    if (this.#scan !== undefined) {
      this.#scan.push(part);
      this.#line = [OVERSIZED];
      if (this.#scan.size > this.#limit * ENDLESS) this.#other?.noise(part.length);
      return;
    }
    this.#line.push(part);
    if (this.#held <= this.#limit) return;
    if (this.#other === undefined) throw new RangeError(`an event is larger than ${this.#limit} bytes`);
    // In front of the message stands the field's name, which a scan passes over.
    this.#scan = new OversizedScan();
    for (const held of [...this.#data, ...this.#line]) this.#scan.push(held);
    this.#data = [];
    this.#line = [OVERSIZED];
  }

  #endLine(): void {
    const line = this.#line.join('');
    this.#line = [];
    if (line === OVERSIZED) return;
    if (line === '') return void this.#dispatch();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else {
      this.#held -= line.length;
      this.#other?.noise(line.length);
      if (field === 'event') this.#type = value;
      else if (field === 'id' && !value.includes('\0')) this.#id = value;
      else if (field === 'retry' && /^\d{1,9}$/.test(value)) this.retry = Number(value);
    }
  }

  #dispatch(): void {
    if (this.#id !== undefined) this.lastEventId = this.#id === '' ? undefined : this.#id;
    const event = { type: this.#type, data: this.#data.join('\n') };
    this.#data = [];
    this.#type = '';
    this.#held = 0;
    if (this.#scan !== undefined) {
      this.#other?.oversized(this.#scan.end());
      this.#scan = undefined;
      return;
    }
    if (event.data !== '') this.#onEvent(event);
  }
}
