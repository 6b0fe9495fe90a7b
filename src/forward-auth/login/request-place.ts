import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { AddressList } from '../../platform/addresses.ts';
import type { Origins } from './sign-in-urls.ts';

/** From where a request to our pages came and which of our origins it was made to. Forwarded headers count from trusted peers only. */
export class RequestPlaces {
  readonly #trusted: AddressList;
  readonly #origins: Origins;

  constructor(trusted: AddressList, origins: Origins) {
    this.#trusted = trusted;
    this.#origins = origins;
  }

  /** One of the configured origins, whatever the request claims. */
  originOf({ socket, headers }: IncomingMessage): string {
    const forwarded = headers['x-forwarded-host'];
    const host = this.#trusted.hasPeer(socket) && typeof forwarded === 'string' ? forwarded : headers.host;
    const wanted = host?.toLowerCase();
    return [...this.#origins.all].find((origin) => new URL(origin).host === wanted) ?? this.#origins.main;
  }

  /** The last hop, which the trusted proxy itself saw; what stands before it, the client wrote. */
  addressOf({ socket, headers }: IncomingMessage): string {
    const direct = socket.remoteAddress ?? '';
    const forwarded = headers['x-forwarded-for'];
    if (typeof forwarded !== 'string' || !this.#trusted.hasPeer(socket)) return direct;
    const last = forwarded.slice(forwarded.lastIndexOf(',') + 1).trim();
    return isIP(last) === 0 ? direct : last;
  }
}
