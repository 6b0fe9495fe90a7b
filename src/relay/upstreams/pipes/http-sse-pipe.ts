import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { outboundConnector } from '../../../platform/outbound/connections.ts';
import type { readUpstreamTls } from '../../../platform/tls.ts';
import type { Fields } from '../../credentials/credential.ts';
import { EventParser, type StreamEvent } from '../../protocol/event-parser.ts';
import { SessionLost } from '../../protocol/failures.ts';
import { isEventStream } from '../../protocol/media-type.ts';
import { isRefusing, type OnServerRefusal, readRefusal } from '../refusal-reason.ts';
import type { MessageFields, OpenPipe, Pipe, PipeEvents } from './pipe.ts';

export interface HttpSseOptions {
  /** Characters of one message. */
  readonly limit: number;
  /** Milliseconds until the server must have said where messages go, and until it must have taken one. */
  readonly timeout: number;
  /** Milliseconds of silence after which the server is gone. */
  readonly idle: number;
  readonly tls: ReturnType<typeof readUpstreamTls>;
  readonly onRefusal: OnServerRefusal;
}

/** Milliseconds for messages to reach the server before the pipe ends. */
const CLOSE_GRACE = 1_000;

/** HTTP+SSE of 2024-11-05: one GET stream says where to POST, and carries every message of the server. */
export function httpSsePipe(address: string, options: HttpSseOptions): OpenPipe {
  const url = new URL(address);
  return async (events, fields) => {
    const connect = outboundConnector({ timeout: options.timeout, ...options.tls });
    const pool = new Pool(url.origin, { connect, pipelining: 1 });
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
  readonly #opening: Fields;
  #fields: MessageFields;
  readonly #events: PipeEvents;
  readonly #options: HttpSseOptions;
  readonly #ended = new AbortController();
  #endpoint: string | undefined;
  #body: Readable | undefined;
  #waiting = 0;
  /** The server has taken a message of the session; how many since the last one were answered with 404. */
  #hasTaken = false;
  #missed = 0;
  /** Messages go one after the other, because a parallel POST could overtake another. */
  #last: Promise<void> = Promise.resolve();

  constructor(pool: Pool, url: URL, fields: Fields, events: PipeEvents, options: HttpSseOptions) {
    this.#pool = pool;
    this.#url = url;
    this.#opening = fields;
    this.#fields = async () => fields;
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
      headers: ['accept', 'text/event-stream', ...this.#opening],
      headersTimeout: timeout,
      bodyTimeout: idle,
      signal: this.#ended.signal,
    });
    body.on('error', () => {});
    this.#body = body;
    if (isRefusing(statusCode)) this.#options.onRefusal(await readRefusal(statusCode, headers, body, this.#opening));
    if (statusCode !== 200 || !isEventStream(headers['content-type']))
      throw new Error(`the server answered the stream with ${statusCode}`);
    await this.#listen(body, timeout);
  }

  send(text: string, fields = this.#fields): void {
    this.#fields = fields;
    const size = Buffer.byteLength(text);
    this.#waiting += size;
    this.#last = this.#last
      .then(() => this.#post(text, fields))
      .finally(() => {
        this.#waiting -= size;
      });
  }

  pause(): void {
    this.#body?.pause();
  }

  resume(): void {
    this.#body?.resume();
  }

  async close(): Promise<void> {
    // What a session takes back before it ends is on its way yet.
    if (this.#waiting > 0 && !this.#ended.signal.aborted)
      await Promise.race([this.#last, sleep(CLOSE_GRACE, undefined, { ref: false })]);
    if (!this.#ended.signal.aborted) this.#ended.abort(new Error('no longer wanted'));
    this.#body?.destroy();
    await this.#pool.destroy().catch(() => undefined);
  }

  #listen(body: Readable, timeout: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('the server did not say where messages go')), timeout);
      const over = (why: Error) => {
        clearTimeout(late);
        reject(why);
        if (this.#endpoint !== undefined) this.#lose(why);
      };
      const onEvent = ({ type, data }: StreamEvent) => {
        if (type === 'endpoint') {
          clearTimeout(late);
          if (this.#takeEndpoint(data)) resolve();
          else reject(new Error('the server sends messages to another origin, where no credential of it may go'));
        } else if (type === '' || type === 'message') this.#events.message(data);
        else this.#events.noise(data.length);
      };
      const parser = new EventParser(this.#options.limit, onEvent, {
        oversized: (message) => this.#events.oversized(message),
        noise: (characters) => this.#events.noise(characters),
      });
      body.on('data', (chunk: Buffer) =>
        this.#events.read(() => {
          parser.push(chunk);
          this.#events.pending(parser.pending);
        }),
      );
      body.once('end', () => over(new Error('the server ended the stream')));
      body.once('error', over);
    });
  }

  /** Only the first one counts, and only at the server's own origin. @returns whether it may be used */
  #takeEndpoint(data: string): boolean {
    if (!URL.canParse(data, this.#url.href)) return false;
    const endpoint = new URL(data, this.#url);
    if (endpoint.origin !== this.#url.origin) return false;
    this.#endpoint ??= endpoint.pathname + endpoint.search;
    return true;
  }

  /** A message that the server does not take fails alone: the stream says whether the server is gone. */
  async #post(text: string, fields: MessageFields): Promise<void> {
    if (this.#ended.signal.aborted) return;
    try {
      const sent = await fields();
      const { statusCode, headers, body } = await this.#pool.request({
        method: 'POST',
        path: this.#endpoint as string,
        headers: ['content-type', 'application/json', ...sent],
        body: text,
        headersTimeout: this.#options.timeout,
        bodyTimeout: this.#options.timeout,
        signal: this.#ended.signal,
      });
      body.on('error', () => {});
      if (isRefusing(statusCode)) this.#options.onRefusal(await readRefusal(statusCode, headers, body, sent));
      else await body.dump();
      this.#missed = statusCode === 404 ? this.#missed + 1 : 0;
      this.#hasTaken ||= statusCode < 300;
      if (this.#missed > 1 && this.#hasTaken) return this.#forgotten(text);
      if (statusCode >= 300) throw new Error(`the server answered a message with ${statusCode}`);
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#events.undelivered(text, error as Error);
    }
  }

  /**
   * One message may miss its address, and all of them have lost the session, whose stream may stand for ever. What was not taken
   * can be sent again.
   */
  #forgotten(text: string): void {
    const lost = new SessionLost();
    this.#events.undelivered(text, lost);
    this.#lose(new Error(lost.message));
  }

  #lose(why: Error): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(why);
    this.#events.closed(why);
    void this.close();
  }
}
