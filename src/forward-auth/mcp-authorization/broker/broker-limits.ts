import type { BrokerConfig } from '../../../platform/config/schema.ts';
import type { Consumption, Limiter, Stores } from '../../../stores/stores.ts';

const HOUR = 60 * 60_000;

/** What one address, and everybody together, may make the broker do for strangers. */
export class BrokerLimits {
  readonly #registrations: Limiter;
  readonly #allRegistrations: Limiter;
  readonly #documents: Limiter;

  constructor({ registration, metadataDocuments }: BrokerConfig, stores: Pick<Stores, 'limiter'>) {
    this.#registrations = stores.limiter('oauth-registration', registration.perAddress, HOUR);
    this.#allRegistrations = stores.limiter('oauth-registrations', registration.perHour, HOUR);
    this.#documents = stores.limiter('oauth-document', metadataDocuments.perAddress, HOUR);
  }

  /** @returns milliseconds until the next is let through; undefined: this one is */
  async registration(address: string): Promise<number | undefined> {
    // First the address, so that one of them cannot use up what all have.
    return waitOf(await this.#registrations.consume(address)) ?? waitOf(await this.#allRegistrations.consume('all'));
  }

  async document(address: string): Promise<boolean> {
    return (await this.#documents.consume(address)).allowed;
  }
}

function waitOf({ allowed, resetIn }: Consumption): number | undefined {
  return allowed ? undefined : resetIn;
}
