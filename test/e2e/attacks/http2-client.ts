import { type ClientHttp2Session, connect } from 'node:http2';
import type { Front } from './wire.ts';

export type Fields = Record<string, string | string[]>;

/** Milliseconds until silence counts as a refusal. */
const PATIENCE = 2_000;

/** One request at a time over a connection of its own, which is made again where a refusal ended it. */
export class Http2Client {
  readonly #front: Front;
  #session: ClientHttp2Session | undefined;

  constructor(front: Front) {
    this.#front = front;
  }

  /**
   * @returns the status, or undefined where the stream or the connection was ended instead
   * @throws where node:http2 itself refuses to send it
   */
  ask(fields: Fields, trailers?: Fields): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const session = this.#open();
      let status: number | undefined;
      const end = () => {
        clearTimeout(timer);
        session.off('error', end).off('close', end);
        resolve(status);
      };
      const silent = () => {
        this.close();
        end();
      };
      const timer = setTimeout(silent, PATIENCE);
      session.on('error', end).on('close', end);
      try {
        const stream = session.request({ ':authority': '127.0.0.1', ...fields }, {
          endStream: false,
          waitForTrailers: trailers !== undefined,
        } as object);
        stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
        stream.on('response', (head) => {
          status = head[':status'];
        });
        stream.on('error', end).on('close', end);
        stream.resume();
        stream.end();
      } catch (error) {
        reject(error);
        end();
        this.close();
      }
    });
  }

  close(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  #open(): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const { port, ca } = this.#front;
    const session =
      ca === undefined ? connect(`http://127.0.0.1:${port}`) : connect(`https://127.0.0.1:${port}`, { ca });
    // Told to who asks; the session itself outlives the question.
    session.on('error', () => {});
    // After it the server takes no new request here.
    session.on('goaway', () => {
      if (this.#session === session) this.#session = undefined;
    });
    this.#session = session;
    return session;
  }
}
