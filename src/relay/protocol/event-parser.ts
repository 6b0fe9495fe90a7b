import { StringDecoder } from 'node:string_decoder';

/** One event of a stream (HTML §9.2.6). `data` is empty for an event that only moves `lastEventId` on. */
export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

/** Splits an event stream into events. Lines end in LF, CR or CRLF; what is not whole is kept for the next piece. */
export class EventParser {
  readonly #limit: number;
  readonly #onEvent: (event: StreamEvent) => void;
  readonly #decoder = new StringDecoder('utf8');
  #line: string[] = [];
  #data: string[] = [];
  #type = '';
  #id: string | undefined;
  #held = 0;
  #afterCarriageReturn = false;
  #first = true;
  /** Where the stream may be taken up again (`Last-Event-ID`). */
  lastEventId: string | undefined;
  /** Milliseconds that the server asks for before that. */
  retry: number | undefined;

  /** @param limit characters of one event */
  constructor(limit: number, onEvent: (event: StreamEvent) => void) {
    this.#limit = limit;
    this.#onEvent = onEvent;
  }

  /** @throws RangeError where one event is larger than the limit */
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
    if (this.#held > this.#limit) throw new RangeError(`an event is larger than ${this.#limit} bytes`);
    this.#line.push(part);
  }

  #endLine(): void {
    const line = this.#line.join('');
    this.#line = [];
    if (line === '') return void this.#dispatch();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else {
      this.#held -= line.length;
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
    if (event.data !== '') this.#onEvent(event);
  }
}
