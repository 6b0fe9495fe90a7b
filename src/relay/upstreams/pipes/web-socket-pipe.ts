import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { readUpstreamTls } from '../../../platform/tls.ts';
import { paired } from './header-fields.ts';
import type { OpenPipe, Pipe, PipeEvents } from './pipe.ts';

export interface WebSocketOptions {
  /** Bytes of one message. */
  readonly limit: number;
  /** Milliseconds until the connection must stand. */
  readonly timeout: number;
  readonly tls: ReturnType<typeof readUpstreamTls>;
  /** Milliseconds between two signs of life asked of the server. */
  readonly ping?: number;
}

const PING = 30_000;
/** Milliseconds for the server to answer a close. */
const GOODBYE = 1_000;
/** RFC 6455 §7.4.1. */
const NORMAL_CLOSURE = 1000;

/** Connects with the subprotocol `mcp`: one message a text frame. @param url `ws:` or `wss:` */
export function webSocketPipe(url: string, { limit, timeout, tls, ping = PING }: WebSocketOptions): OpenPipe {
  return async (events, fields) => {
    const socket = new WebSocket(url, 'mcp', {
      headers: paired(fields),
      handshakeTimeout: timeout,
      maxPayload: limit,
      perMessageDeflate: false,
      followRedirects: false,
      ...tls,
    });
    await once(socket, 'open');
    return new WebSocketPipe(socket, events, ping);
  };
}

class WebSocketPipe implements Pipe {
  readonly #socket: WebSocket;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #closed: Promise<unknown>;
  #alive = true;
  #closing = false;

  constructor(socket: WebSocket, events: PipeEvents, ping: number) {
    this.#socket = socket;
    this.#closed = once(socket, 'close');
    this.#heartbeat = setInterval(() => this.#beat(), ping);
    let why = 'the server closed the WebSocket';
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('pong', () => {
      this.#alive = true;
    });
    socket.on('message', (data, isBinary) => {
      this.#alive = true;
      if (!isBinary) events.message(String(data));
    });
    socket.once('close', (code) => {
      clearInterval(this.#heartbeat);
      if (!this.#closing) events.closed(new Error(`${why} (${code})`));
    });
  }

  get waiting(): number {
    return this.#socket.bufferedAmount;
  }

  send(text: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  async close(): Promise<void> {
    this.#closing = true;
    const late = setTimeout(() => this.#socket.terminate(), GOODBYE);
    if (this.#socket.readyState !== WebSocket.CLOSED) {
      this.#socket.close(NORMAL_CLOSURE);
      await this.#closed.catch(() => {});
    }
    clearTimeout(late);
  }

  /** A server that says nothing between two beats is gone, whatever the network pretends. */
  #beat(): void {
    if (!this.#alive) return void this.#socket.terminate();
    this.#alive = false;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }
}
