import { Pool } from 'undici';
import type { readUpstreamTls } from '../../../platform/tls.ts';
import type { Fields } from '../../credentials/credential.ts';
import { EventParser } from '../../protocol/event-parser.ts';
import { isEventStream } from '../../protocol/media-type.ts';
import type { OpenPipe, Pipe, PipeEvents } from './pipe.ts';

export interface HttpSseOptions {
  /** Characters of one message. */
  readonly limit: number;
  /** Milliseconds until the server must have said where messages go, and until it must have taken one. */
  readonly timeout: number;
  /** Milliseconds of silence after which the server is gone. */
  readonly idle: number;
  readonly tls: ReturnType<typeof readUpstreamTls>;
}

/** HTTP+SSE of 2024-11-05: one GET stream says where to POST, and carries every message of the server. */
export function httpSsePipe(address: string, options: HttpSseOptions): OpenPipe {
  const url = new URL(address);
  return async (events, fields) => {
    const pool = new Pool(url.origin, { connect: { timeout: options.timeout, ...options.tls }, pipelining: 1 });
    const pipe = new HttpSsePipe(pool, url, fields, events, options);
    try {
      await pipe.open();
      return pipe;
    } catch (error) {
      await pipe.close();
      throw error;
    }
  };
}

class HttpSsePipe implements Pipe {
  readonly #pool: Pool;
  readonly #url: URL;
  readonly #fields: string[];
  readonly #events: PipeEvents;
  readonly #options: HttpSseOptions;
  readonly #ended = new AbortController();
  #endpoint: string | undefined;
  #waiting = 0;
  /** Messages go one after the other, because a parallel POST could overtake another. */
  #last: Promise<void> = Promise.resolve();

  constructor(pool: Pool, url: URL, fields: Fields, events: PipeEvents, options: HttpSseOptions) {
    this.#pool = pool;
    this.#url = url;
    this.#fields = [...fields];
    this.#events = events;
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves when the server has said where messages go. */
  async open(): Promise<void> {
    const { timeout, idle } = this.#options;
    const { statusCode, headers, body } = await this.#pool.request({
      method: 'GET',
      path: this.#url.pathname + this.#url.search,
      headers: ['accept', 'text/event-stream', ...this.#fields],
      headersTimeout: timeout,
      bodyTimeout: idle,
      signal: this.#ended.signal,
    });
    body.on('error', () => {});
    if (statusCode !== 200 || !isEventStream(headers['content-type']))
      throw new Error(`the server answered the stream with ${statusCode}`);
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('the server did not say where messages go')), timeout);
      const parser = new EventParser(this.#options.limit, ({ type, data }) => {
        if (type === 'endpoint') {
          clearTimeout(late);
          if (this.#takeEndpoint(data)) resolve();
          else reject(new Error('the server sends messages to another origin, where no credential of it may go'));
        } else if (type === '' || type === 'message') this.#events.message(data);
      });
      const over = (why: Error) => {
        clearTimeout(late);
        reject(why);
        if (this.#endpoint !== undefined) this.#lose(why);
      };
      body.on('data', (chunk: Buffer) => {
        try {
          parser.push(chunk);
        } catch (error) {
          over(error as Error);
        }
      });
      body.once('end', () => over(new Error('the server ended the stream')));
      body.once('error', over);
    });
  }

  send(text: string): void {
    const size = Buffer.byteLength(text);
    this.#waiting += size;
    this.#last = this.#last
      .then(() => this.#post(text))
      .finally(() => {
        this.#waiting -= size;
      });
  }

  async close(): Promise<void> {
    if (!this.#ended.signal.aborted) this.#ended.abort(new Error('no longer wanted'));
    await this.#pool.destroy();
  }

  /** Only the first one counts, and only at the server's own origin. @returns whether it may be used */
  #takeEndpoint(data: string): boolean {
    if (!URL.canParse(data, this.#url.href)) return false;
    const endpoint = new URL(data, this.#url);
    if (endpoint.origin !== this.#url.origin) return false;
    this.#endpoint ??= endpoint.pathname + endpoint.search;
    return true;
  }

  async #post(text: string): Promise<void> {
    if (this.#ended.signal.aborted) return;
    try {
      const { statusCode, body } = await this.#pool.request({
        method: 'POST',
        path: this.#endpoint as string,
        headers: ['content-type', 'application/json', ...this.#fields],
        body: text,
        headersTimeout: this.#options.timeout,
        signal: this.#ended.signal,
      });
      await body.dump();
      if (statusCode >= 300) throw new Error(`the server answered a message with ${statusCode}`);
    } catch (error) {
      this.#lose(error as Error);
    }
  }

  #lose(why: Error): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(why);
    this.#events.closed(why);
    void this.#pool.destroy();
  }
}
