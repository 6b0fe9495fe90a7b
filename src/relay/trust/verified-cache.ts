import { LRUCache } from 'lru-cache';

/** Characters of all cached tokens together; a token is at most as long as the header limit. */
const MAX_SIZE = 16 * 1024 * 1024;

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
  readonly #entries = new LRUCache<string, Entry<T>>({
    max: 20_000,
    maxSize: MAX_SIZE,
    sizeCalculation: (_entry, token) => token.length || 1,
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
