import { constants, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { verifiedNames } from '../peer-certificate.ts';
import type { Trusted } from '../trusted-peers.ts';

/** Milliseconds of a connection. */
export interface ConnectionTimes {
  /** Without a call. */
  readonly idle: number;
  /** A tenth more or less, so that those of one moment do not end in one. */
  readonly age: number;
  /** For calls that still run when it is to end. */
  readonly grace: number;
  /** Between two pings. */
  readonly ping: number;
  /** For the answer to one. */
  readonly pong: number;
}

/** An idle or an old connection ends, so that none is held for ever and replicas share the load anew; a dead one is found. */
export const CONNECTION_TIMES: ConnectionTimes = {
  idle: 15 * 60_000,
  age: 60 * 60_000,
  grace: 30_000,
  // Node does not notice a peer that leaves in the midst of a frame.
  ping: 10_000,
  pong: 5_000,
};

/** Bytes that a client may send before they were read, on all streams of a connection together. */
const WINDOW = 1024 * 1024;
/** The highest number of a stream: no call is refused yet (RFC 9113 §6.8). */
const ANY_STREAM = 0x7fffffff;

/** One client's connection: who it is, and how long it stays. */
export class Connection {
  /** Empty where it has gone already. */
  readonly address: string;
  /** Alternative names of the certificate that was verified, as Node writes them. */
  readonly names: string;
  readonly #session: ServerHttp2Session;
  readonly #times: ConnectionTimes;
  readonly #timers = new Set<NodeJS.Timeout>();
  #open = 0;
  /** `performance.now()` when the last call ended. */
  #used = performance.now();
  #ending = false;
  #trusted: { readonly by: Pick<Trusted, 'has'>; readonly is: boolean } | undefined;

  constructor(session: ServerHttp2Session, times: ConnectionTimes) {
    const socket = session.socket as Socket;
    this.address = socket.remoteAddress ?? '';
    this.names = verifiedNames(socket);
    this.#session = session;
    this.#times = times;
    session.on('error', () => {});
    session.on('close', () => this.#forget());
    session.setLocalWindowSize(WINDOW);
    this.#after(times.age * (0.9 + 0.2 * Math.random()), () => this.end());
    this.#after(times.idle, () => this.#endIfIdle());
    this.#after(times.ping, () => this.#ping());
  }

  /** Whether it is one of those, which is remembered: a few proxies ask all the time. */
  isOf(trusted: Pick<Trusted, 'has'>): boolean {
    if (this.#trusted?.by !== trusted) this.#trusted = { by: trusted, is: trusted.has(this.address, this.names) };
    return this.#trusted.is;
  }

  /** A call begins. */
  hold(): void {
    this.#open += 1;
  }

  /** A call is over. */
  release(): void {
    this.#open -= 1;
    this.#used = performance.now();
    if (this.#ending && this.#open === 0) this.#close();
  }

  /** Takes no new call, lets those that run end, and is cut after `grace`. */
  end(): void {
    const session = this.#session;
    if (this.#ending || session.destroyed) return;
    this.#ending = true;
    this.#after(this.#times.grace, () => this.cut());
    // Without a call nothing is read behind GOAWAY: nghttp2 takes the connection for over.
    if (this.#open === 0) this.#close();
    else {
      // What comes before the ping's answer was sent before the client knew, and is taken as well.
      session.goaway(constants.NGHTTP2_NO_ERROR, ANY_STREAM);
      session.ping(() => this.#close());
    }
  }

  cut(): void {
    this.#session.destroy();
  }

  /** Tells the client which call was the last that is answered; it can repeat the others on another connection. */
  #close(): void {
    if (!this.#session.destroyed) this.#session.close();
  }

  #endIfIdle(): void {
    const left = this.#open > 0 ? this.#times.idle : this.#used + this.#times.idle - performance.now();
    if (left <= 0) this.end();
    else this.#after(left, () => this.#endIfIdle());
  }

  #ping(): void {
    if (this.#session.destroyed) return;
    const dead = this.#after(this.#times.pong, () => this.cut());
    const sent = this.#session.ping((error) => {
      if (error !== null) return;
      this.#stop(dead);
      this.#after(this.#times.ping, () => this.#ping());
    });
    // A client that leaves so many unanswered reads nothing.
    if (!sent) this.cut();
  }

  #after(milliseconds: number, then: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, milliseconds);
    this.#timers.add(timer.unref());
    return timer;
  }

  #stop(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }

  #forget(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
