import type { ServerResponse } from 'node:http';
import type { Hold } from '../../gate/budgets/budgets.ts';
import type { Admitted } from '../../intake.ts';
import { withEscapedLineEnds } from '../../protocol/escaped-line-ends.ts';
import type { Channel } from '../channel/channel.ts';
import { Connection, type ConnectionDeps, type Ending, type MessageSink } from '../channel/connection.ts';

/** The stream of one client of the 2024-11-05 transport; its messages come by POST. */
export class EventStreamConnection implements MessageSink {
  readonly server: string;
  /** Resolves when the stream is closed and the server's session too. */
  readonly closed: Promise<void>;
  readonly #response: ServerResponse;
  readonly #connection: Connection;
  readonly #keepAlive: NodeJS.Timeout;
  readonly #stalledAfter: number;
  #stalled: NodeJS.Timeout | undefined;

  /** @param endpoint where the client shall POST its messages */
  constructor(response: ServerResponse, endpoint: string, admitted: Admitted, hold: Hold, deps: ConnectionDeps) {
    this.server = admitted.server;
    this.#response = response;
    this.#stalledAfter = deps.config.relay.limits.idleStream;
    // Its end may be ours: by then a proxy may have sent the next request on the same connection, which would be lost.
    response.shouldKeepAlive = false;
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-cache, no-transform',
      'X-Accel-Buffering': 'no',
      'X-Content-Type-Options': 'nosniff',
    });
    response.write(`event: endpoint\ndata: ${endpoint}\n\n`);
    this.#connection = new Connection('http-sse', admitted, hold, this, deps);
    this.#keepAlive = setInterval(() => {
      if (this.#stalled === undefined) response.write(': keep-alive\n\n');
    }, deps.times.keepAlive);
    response.on('drain', () => this.#drained());
    this.closed = new Promise((resolve) => {
      response.once('close', () => {
        clearInterval(this.#keepAlive);
        clearTimeout(this.#stalled);
        resolve(this.#connection.close());
      });
    });
  }

  get channel(): Channel {
    return this.#connection.channel;
  }

  send(text: string): boolean {
    if (this.#response.writableEnded || this.#response.destroyed) return true;
    this.#keepAlive.refresh();
    const data = withEscapedLineEnds(text)
      .split(/\r\n|\r|\n/)
      .join('\ndata: ');
    if (this.#response.write(`event: message\ndata: ${data}\n\n`)) return true;
    this.#stalled ??= setTimeout(() => this.#response.destroy(), this.#stalledAfter);
    return false;
  }

  /** This transport has no word for why; the client connects again, and hears it then. */
  end(_why: Ending): void {
    this.#response.end();
  }

  drain(): void {
    this.#connection.drain();
  }

  #drained(): void {
    clearTimeout(this.#stalled);
    this.#stalled = undefined;
    this.channel.resume();
  }
}
