import type { BrokerConfig } from '../../../platform/config/schema.ts';
import { clientKey, namedKey } from '../../../stores/limit-key.ts';
import type { Consumption, Limiter, Stores } from '../../../stores/stores.ts';

const HOUR = 60 * 60_000;

/** What one client, and everybody together, may make the broker do for strangers. */
export class BrokerLimits {
  readonly #registrations: Limiter;
  readonly #allRegistrations: Limiter;
  readonly #fetches: Limiter;
  readonly #fetchesFromHost: Limiter;

  constructor({ registration, metadataDocuments }: BrokerConfig, stores: Pick<Stores, 'limiter'>) {
    this.#registrations = stores.limiter('oauth-registration', registration.maxPerAddress, HOUR);
    this.#allRegistrations = stores.limiter('oauth-registrations', registration.maxPerHour, HOUR);
    this.#fetches = stores.limiter('oauth-document', metadataDocuments.maxPerAddress, HOUR);
    this.#fetchesFromHost = stores.limiter('oauth-document-host', metadataDocuments.maxPerHost, HOUR);
  }

  /** @returns milliseconds until the next is let through; undefined: this one is */
  async registration(address: string): Promise<number | undefined> {
    // First the client, so that one of them cannot use up what all have.
    const own = waitOf(await this.#registrations.consume(clientKey(address)));
    return own ?? waitOf(await this.#allRegistrations.consume(namedKey('all')));
  }

  /**
   * Whether a document or key set may be asked for.
   *
   * @param host that is asked
   * @param address because of whose request; undefined: of a page of ours that looks again
   */
  async fetch(host: string, address: string | undefined): Promise<boolean> {
    if (address !== undefined && !(await this.#fetches.consume(clientKey(address))).allowed) return false;
    return (await this.#fetchesFromHost.consume(namedKey(host))).allowed;
  }
}

function waitOf({ allowed, resetIn }: Consumption): number | undefined {
  return allowed ? undefined : resetIn;
}
