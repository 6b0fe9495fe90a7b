import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { fetchJson } from '../../platform/fetch-json.ts';
import type { KeySource } from './keys.ts';

/** Milliseconds for which a key set counts as fresh; after that it is fetched again, and serves on until that succeeds. */
const FRESH = 10 * 60_000;
/** Milliseconds; each failure or fruitless look-up in a row doubles the wait from the first to the second. */
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

export interface RemoteKeysDeps {
  /** Milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch | undefined;
}

/**
 * A JWK Set behind an address, fetched when first needed. Keys that were fetched once go on serving while their source is
 * away; a key that is missing then may be a new one, so that its tokens are neither believed nor refused.
 *
 * @param locate the address; asked again after a failure, because a source may have moved its keys
 */
export class RemoteKeys implements KeySource {
  readonly getKey: JWTVerifyGetKey;
  readonly #locate: () => string | Promise<string>;
  readonly #deps: RemoteKeysDeps;
  #set: ReturnType<typeof createLocalJWKSet> | undefined;
  #staleAt = 0;
  #failures = 0;
  #fruitless = 0;
  #retryAt = 0;
  #searchAt = 0;
  #running: Promise<void> | undefined;

  constructor(locate: () => string | Promise<string>, deps: RemoteKeysDeps) {
    this.#locate = locate;
    this.#deps = deps;
    this.getKey = async (header, token) => {
      const set = await this.#loaded();
      try {
        return await set(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        const fresh = await this.#search(set);
        return (fresh ?? set)(header, token);
      }
    };
  }

  async ready(): Promise<undefined> {
    if (this.#set === undefined) await this.#loaded();
    return undefined;
  }

  async #loaded(): Promise<ReturnType<typeof createLocalJWKSet>> {
    const { now } = this.#deps;
    if (this.#set === undefined) {
      if (now() < this.#retryAt) throw unavailable();
      await this.#refresh();
    } else if (now() >= this.#staleAt && now() >= this.#retryAt) {
      this.#refresh().catch(() => {});
    }
    if (this.#set === undefined) throw unavailable();
    return this.#set;
  }

  /** @returns the set after a look-up, or undefined where it was too soon for one */
  async #search(known: ReturnType<typeof createLocalJWKSet>) {
    const { now } = this.#deps;
    if (this.#running === undefined && (now() < this.#searchAt || now() < this.#retryAt)) {
      if (this.#failures > 0) throw unavailable();
      return undefined;
    }
    await this.#refresh();
    this.#fruitless += 1;
    this.#searchAt = now() + wait(this.#fruitless);
    return this.#set === known ? undefined : this.#set;
  }

  /** Once for all who ask at the same time. */
  #refresh(): Promise<void> {
    this.#running ??= this.#fetch().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #fetch(): Promise<void> {
    const { now, fetch: fetcher = fetch } = this.#deps;
    try {
      const url = await this.#locate();
      const document = await fetchJson(url, fetcher);
      this.#set = createLocalJWKSet(document as unknown as JSONWebKeySet);
      this.#failures = 0;
      this.#staleAt = now() + FRESH;
    } catch (cause) {
      this.#failures += 1;
      this.#retryAt = now() + wait(this.#failures);
      throw unavailable(cause);
    }
  }
}

function unavailable(cause?: unknown): DependencyUnavailable {
  return new DependencyUnavailable('the source of public keys', cause);
}

function wait(attempts: number): number {
  return Math.min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT);
}
