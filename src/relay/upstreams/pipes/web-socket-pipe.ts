import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { outboundConnection } from '../../../platform/outbound/connections.ts';
import type { readUpstreamTls } from '../../../platform/tls.ts';
import { ENDLESS } from '../../protocol/oversized-message.ts';
import { isRefusing, type OnServerRefusal, readRefusal } from '../refusal-reason.ts';
import { paired } from './header-fields.ts';
import type { OpenPipe, Pipe, PipeEvents } from './pipe.ts';
import { WebSocketFrames } from './web-socket-frames.ts';

export interface WebSocketOptions {
  /** Bytes of one message. */
  readonly limit: number;
  /** Milliseconds until the connection must stand. */
  readonly timeout: number;
  readonly tls: ReturnType<typeof readUpstreamTls>;
  readonly onRefusal: OnServerRefusal;
  /** Milliseconds between two signs of life asked of the server. */
  readonly ping?: number;
}

const PING = 30_000;
/** Milliseconds for the server to answer a close. */
const GOODBYE = 1_000;
/** RFC 6455 §7.4.1. */
const NORMAL_CLOSURE = 1000;
/** What has come since the last message is noise above this many times the limit: frames in pieces, control frames. */
const HELD = 2;
/** Bytes on their way to the server above which its pings are not answered: it does not read what it asks for. */
const MAX_PONGS = 64 * 1024;
/** Bytes that a message may have beside its own: those of a segment that holds more of them, and of the frames of a large one. */
const HEAD = 64 * 1024;

/** Connects with the subprotocol `mcp`: one message a text frame. @param url `ws:` or `wss:` */
export function webSocketPipe(url: string, options: WebSocketOptions): OpenPipe {
  return async (events, fields) => {
    const { limit, timeout, tls, onRefusal, ping = PING } = options;
    const socket = new WebSocket(url, 'mcp', {
      headers: paired(fields),
      handshakeTimeout: timeout,
      maxPayload: limit,
      perMessageDeflate: false,
      followRedirects: false,
      // Each message in a turn of its own, so that a segment full of small ones does not keep the loop.
      allowSynchronousEvents: false,
      autoPong: false,
      createConnection: outboundConnection(url.startsWith('wss:'), timeout) as never,
      ...tls,
    });
    const pipe = new WebSocketPipe(socket, events, { limit, ping });
    socket.once('unexpected-response', (_request, response) => {
      const { statusCode = 0 } = response;
      void readRefusal(statusCode, response.headers, response, fields).then((refusal) => {
        if (isRefusing(statusCode)) onRefusal(refusal);
        socket.emit('error', new Error(`Unexpected server response: ${statusCode}`));
        socket.terminate();
      });
    });
    await pipe.opened;
    return pipe;
  };
}

class WebSocketPipe implements Pipe {
  readonly #socket: WebSocket;
  readonly #heartbeat: NodeJS.Timeout;
  /** Never rejects: an error is always followed by `close`. */
  readonly #closed: Promise<void>;
  /** Rejects where the connection ends before it stands. */
  readonly opened: Promise<void>;
  #alive = true;
  #closing = false;

  /** Every listener is there before the first byte can come, and stays. */
  constructor(socket: WebSocket, events: PipeEvents, { limit, ping }: { limit: number; ping: number }) {
    this.#socket = socket;
    let why: Error | undefined;
    socket.on('error', (error) => {
      why ??= error;
    });
    this.#heartbeat = setInterval(() => this.#beat(), ping);
    socket.on('pong', () => {
      this.#alive = true;
    });
    // Counts what `ws` reads without telling: frames in pieces, control frames, what belongs to no message.
    let unread = 0;
    let received = 0;
    const frames = new WebSocketFrames(limit);
    let raw: Socket | undefined;
    socket.once('upgrade', (response) => {
      raw = response.socket;
    });
    // Not before: a listener that is there first would take what came in one segment with the handshake.
    socket.once('open', () => {
      if (raw === undefined) return;
      // `ws` reads what is left of the frames, as if the server had sent no more.
      const readers = raw.listeners('data') as Array<(chunk: Buffer) => void>;
      raw.removeAllListeners('data');
      raw.on('data', (chunk: Buffer) => {
        const startedAt = performance.now();
        // `ws` takes the same piece apart before the microtasks have their turn.
        queueMicrotask(() => events.spent(performance.now() - startedAt));
        const { skipped } = frames;
        const passing = frames.push(chunk);
        const skippedNow = frames.skipped - skipped;
        unread = Math.max(0, unread + chunk.length - skippedNow);
        if (frames.skipping > limit * ENDLESS) events.noise(skippedNow);
        if (unread > limit * HELD + chunk.length) events.noise(chunk.length);
        events.pending(unread);
        if (why === undefined) for (const part of passing) for (const read of readers) read.call(raw as Socket, part);
      });
    });
    const read = (bytes: number) => {
      if (unread > bytes + HEAD) events.noise(unread - bytes - HEAD);
      unread = 0;
      events.pending(0);
    };
    socket.on('ping', (data) => {
      this.#alive = true;
      if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount < MAX_PONGS) socket.pong(data);
    });
    socket.on('message', (data: Buffer, isBinary) => {
      this.#alive = true;
      // What comes in one piece with other messages was counted with the first of them.
      read(isBinary ? 0 : data.length);
      const oversized = frames.takeOversized(received);
      received += 1;
      if (oversized !== undefined) events.oversized(oversized);
      else if (!isBinary) events.message(data.toString());
    });
    let stands = false;
    let over: (how: Error) => void = () => {};
    this.opened = new Promise((resolve, reject) => {
      over = reject;
      socket.once('open', () => {
        stands = true;
        resolve();
      });
    });
    this.#closed = new Promise((resolve) => {
      socket.once('close', (code) => {
        clearInterval(this.#heartbeat);
        const how = new Error(`${why?.message ?? 'the server closed the WebSocket'} (${code})`, { cause: why });
        if (!stands) over(how);
        else if (!this.#closing) events.closed(how);
        resolve();
      });
    });
  }

  get waiting(): number {
    return this.#socket.bufferedAmount;
  }

  send(text: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const late = setTimeout(() => this.#socket.terminate(), GOODBYE);
    // What is paused would never read the server's answer.
    this.#socket.resume();
    this.#socket.close(NORMAL_CLOSURE);
    await this.#closed;
    clearTimeout(late);
  }

  /** A server that says nothing between two beats is gone, whatever the network pretends. */
  #beat(): void {
    // While it is paused it cannot say anything.
    if (this.#socket.isPaused) return;
    if (!this.#alive) return void this.#socket.terminate();
    this.#alive = false;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }
}
