import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { addressBehind } from '../../platform/addresses.ts';
import type { Trusted } from '../../platform/trusted-peers.ts';
import type { Origins } from './sign-in-urls.ts';

/** From where a request to our pages came and which of our origins it was made to. Forwarded headers count from trusted peers only. */
export class RequestPlaces {
  readonly #trusted: Pick<Trusted, 'hasPeer'>;
  readonly #origins: Origins;

  readonly #hops: number;

  /** @param hops `auth.trustedHops` */
  constructor(trusted: Pick<Trusted, 'hasPeer'>, origins: Origins, hops: number) {
    this.#hops = hops;
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

  /** As the operator's own proxies saw it; what stands before their entries, the client wrote. */
  addressOf({ socket, headers }: IncomingMessage): string {
    const direct = socket.remoteAddress ?? '';
    const forwarded = headers['x-forwarded-for'];
    if (typeof forwarded !== 'string' || !this.#trusted.hasPeer(socket)) return direct;
    const client = addressBehind(forwarded, this.#hops);
    return isIP(client) === 0 ? direct : client;
  }
}
