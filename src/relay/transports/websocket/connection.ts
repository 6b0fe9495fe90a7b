import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { Tracing } from '../../../platform/tracing/span.ts';
import type { Hold } from '../../gate/budgets/budgets.ts';
import { type HoldBytes, heldBytes } from '../../gate/budgets/held-bytes.ts';
import type { Admitted } from '../../intake.ts';
import { parseMessage } from '../../protocol/message.ts';
import { Connection, type ConnectionDeps, type Ending, type MessageSink } from '../channel/connection.ts';
import { tracedMessage } from '../channel/traced-message.ts';
import { turnFor } from '../turns.ts';

/** Bytes that may wait for a slow client before its server has to wait, and below which it may go on. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;

/** Close codes (RFC 6455 §7.4.1) and what the client is told with them; at most 123 bytes. */
const ENDINGS: Readonly<Record<Ending, readonly [number, string]>> = {
  draining: [1001, 'the relay is shutting down; reconnect'],
  identity_revoked: [1008, 'sign in again: the session, key or grant of this connection has ended'],
  server_removed: [1001, 'this MCP server is no longer configured'],
  access_removed: [1008, 'the policy no longer lets you use this MCP server'],
  operator: [1008, 'an operator ended this connection'],
  identity_expired: [1008, 'sign in again: the identity of this connection is no longer valid'],
  upstream_gone: [1011, 'the MCP server ended the session or does not answer: connect again'],
};

/** One JSON-RPC message a text frame, in both directions. */
export class WebSocketConnection implements MessageSink {
  readonly #socket: WebSocket;
  readonly #connection: Connection;
  readonly #closeGrace: number;
  readonly #server: string;
  readonly #tracing: Tracing | undefined;
  readonly #heartbeat: NodeJS.Timeout;
  /** Resolves when the client's end is closed and the server's session too. */
  readonly closed: Promise<void>;
  readonly #holds: HoldBytes;
  /** When the last message is taken that waits for its turn. */
  #taken: Promise<void> | undefined;
  /** Bytes since the last message. */
  #unread = 0;
  #alive = true;
  #full = false;
  #ending = false;

  /** @param raw the connection below it, whose bytes count until they are a message */
  constructor(socket: WebSocket, raw: Socket, admitted: Admitted, hold: Hold, deps: ConnectionDeps) {
    this.#socket = socket;
    this.#server = admitted.server;
    this.#tracing = deps.tracing;
    this.#closeGrace = deps.times.closeGrace;
    this.#connection = new Connection('websocket', admitted, hold, this, deps);
    this.#heartbeat = setInterval(() => this.#beat(), deps.times.ping);
    this.#holds = heldBytes(hold, 'requestBytes');
    raw.prependListener('data', (chunk: Buffer) => this.#hold(this.#unread + chunk.length));
    const take = (data: Buffer, isBinary: boolean) => {
      try {
        this.#receive(data, isBinary);
      } catch (error) {
        deps.log.error({ server: admitted.server, error }, 'a connection failed');
        this.#close(1011, 'the relay failed: connect again');
      }
    };
    socket.on('message', (data: Buffer, isBinary) => this.#inTurn(data.length, () => take(data, isBinary)));
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        clearInterval(this.#heartbeat);
        resolve(this.#connection.close());
      });
    });
    // By hand: answers to a flood of pings would pile up for a client that does not read (RFC 6455 §5.5.3 allows to skip).
    socket.on('ping', (data) => {
      if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount < LOW_WATER) socket.pong(data);
    });
    socket.on('pong', () => {
      this.#alive = true;
    });
    // What the client did wrong; ws has closed with 1002, 1007 or 1009 already.
    socket.on('error', (error) =>
      deps.log.info(
        { server: admitted.server, identity: admitted.identity, transport: 'websocket', error: error.message },
        'a WebSocket frame was refused',
      ),
    );
  }

  send(text: string): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return true;
    this.#socket.send(text, () => this.#sent());
    this.#full ||= this.#socket.bufferedAmount > HIGH_WATER;
    return !this.#full;
  }

  end(why: Ending): void {
    this.#close(...ENDINGS[why]);
  }

  settled(): void {
    if (this.#socket.isPaused && !this.#connection.channel.saturated) this.#socket.resume();
  }

  drain(): void {
    this.#connection.drain();
  }

  /** A frame of which the rest never comes is held as a body is that never becomes whole. */
  #hold(bytes: number): void {
    this.#unread = bytes;
    if (this.#holds(bytes) !== undefined)
      this.#close(1008, 'too much at once: finish some requests, then connect again');
  }

  /** Messages stay in order: those after a large one wait with it. */
  #inTurn(bytes: number, take: () => void): void {
    const turn = turnFor(bytes);
    if (turn === undefined && this.#taken === undefined) return void take();
    this.#socket.pause();
    const taken = Promise.all([this.#taken, turn]).then(() => {
      if (this.#taken === taken) this.#taken = undefined;
      take();
      this.settled();
    });
    this.#taken = taken;
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#alive = true;
    this.#hold(0);
    if (this.#ending) return;
    if (isBinary) return void this.#close(1003, 'send JSON-RPC messages as text frames');
    const parsed = parseMessage(data);
    const { channel } = this.#connection;
    if ('refusal' in parsed) channel.refuse(parsed.id, parsed.refusal);
    else
      tracedMessage(this.#tracing, { message: parsed.message, server: this.#server }, () =>
        channel.accept(parsed.message, data),
      );
    if (channel.saturated) this.#socket.pause();
  }

  #sent(): void {
    this.#alive = true;
    if (!this.#full || this.#socket.bufferedAmount > LOW_WATER) return;
    this.#full = false;
    this.#connection.channel.resume();
    this.settled();
  }

  /** A peer that neither answers nor takes anything between two beats is dead. */
  #beat(): void {
    const waitsForServer = this.#socket.isPaused && !this.#full;
    if (!this.#alive && !waitsForServer) return void this.#socket.terminate();
    this.#alive = false;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  #close(code: number, reason: string): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#socket.close(code, reason);
    // The client's own close frame can come only where it is read.
    this.#socket.resume();
    setTimeout(() => this.#socket.terminate(), this.#closeGrace).unref();
  }
}
