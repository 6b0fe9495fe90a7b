import { BoundedCache } from '../../platform/bounded-cache.ts';
import { textBytes } from '../../platform/retained-bytes.ts';

/** Bytes of all together; a token is at most as long as the header limit. */
const MAX_BYTES = 48 * 1024 * 1024;
/** What was read out of a token takes about twice as much as the token: a group is an object of its own. */
const READ = 2;

interface Entry<T> {
  readonly value: T;
  /** Unix time in milliseconds. */
  readonly expiresAt: number;
}

/**
 * Results of verification, keyed by the whole token: a digest would cost more than it saves, and only a token that was
 * verified gets in, so a client cannot fill it with inventions.
 */
export class VerifiedCache<T extends object> {
  readonly #entries = new BoundedCache<string, Entry<T>>({
    max: 20_000,
    maxSize: MAX_BYTES,
    sizeCalculation: (_entry, token) => (1 + READ) * textBytes(token),
  });
  readonly #now: () => number;

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get(token: string): T | undefined {
    const entry = this.#entries.get(token);
    if (entry === undefined) return undefined;
    if (this.#now() < entry.expiresAt) return entry.value;
    this.#entries.delete(token);
    return undefined;
  }

  /** @param expiresAt the token's `exp`, Unix time in seconds */
  set(token: string, value: T, expiresAt: number): void {
    this.#entries.set(token, { value, expiresAt: expiresAt * 1000 });
  }
}
