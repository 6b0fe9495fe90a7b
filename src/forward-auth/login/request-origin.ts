import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { addressBehind } from '../../platform/addresses.ts';
import type { Trusted } from '../../platform/trusted-peers.ts';
import { canonicalHost } from '../decision/target.ts';
import type { Origins } from './sign-in-urls.ts';

/** From where a request to our pages came and which of our origins it was made to. Forwarded headers count from trusted peers only. */
export class RequestOrigins {
  readonly #trusted: Pick<Trusted, 'hasPeer'>;
  readonly #origins: Origins;

  readonly #hops: number;

  /** @param hops `auth.trustedHops` */
  constructor(trusted: Pick<Trusted, 'hasPeer'>, origins: Origins, hops: number) {
    this.#hops = hops;
    this.#trusted = trusted;
    this.#origins = origins;
  }

  /** The origin of `publicUrl`. */
  get main(): string {
    return this.#origins.main;
  }

  /** One of the configured origins, whatever the request claims. */
  originOf(message: IncomingMessage): string {
    const wanted = this.#hostOf(message);
    return [...this.#origins.all].find((origin) => new URL(origin).host === wanted) ?? this.#origins.main;
  }

  /** Whether it was made to the host of one of them. */
  isAtOurs(message: IncomingMessage): boolean {
    const host = this.#hostOf(message) ?? '';
    return [...this.#origins.all].some((origin) => {
      const url = new URL(origin);
      return canonicalHost(host, url.protocol === 'http:' ? 'http' : 'https') === url.host;
    });
  }

  #hostOf({ socket, headers }: IncomingMessage): string | undefined {
    const forwarded = headers['x-forwarded-host'];
    const host = this.#trusted.hasPeer(socket) && typeof forwarded === 'string' ? forwarded : headers.host;
    return host?.toLowerCase();
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
