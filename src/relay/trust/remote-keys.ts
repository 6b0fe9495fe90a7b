import { setTimeout as sleep } from 'node:timers/promises';
import { errors, type JWTVerifyGetKey } from 'jose';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { failureText } from '../../platform/failure-reason.ts';
import { fetchJson } from '../../platform/fetch-json.ts';
import { keySet } from './key-set.ts';
import type { KeySource } from './keys.ts';

/** Milliseconds for which a key set counts as fresh; after that it is fetched again, and serves on until that succeeds. */
const FRESH = 10 * 60_000;
/** Milliseconds between two fetches because of unknown key ids: a new key waits no longer, however many others are invented. */
const SEARCH_PAUSE = 2_000;
/** Milliseconds by which a token may be younger than it says: `iat` often is whole seconds, and clocks differ. */
const AGE_SLACK = 5_000;
/** Milliseconds; each failure in a row doubles the wait from the first to the second. */
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
 * @param key of the configuration, for messages
 */
export class RemoteKeys implements KeySource {
  readonly getKey: JWTVerifyGetKey;
  readonly #locate: () => string | Promise<string>;
  readonly #deps: RemoteKeysDeps;
  readonly #key: string;
  #set: ReturnType<typeof keySet> | undefined;
  #staleAt = 0;
  #failures = 0;
  #retryAt = 0;
  #searchAt = 0;
  /** When the newest fetch that succeeded began. */
  #fetchedAt = 0;
  #nextSearch: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  /** Of the last fetch, for requests that wait for the next one. */
  #failure: Error | undefined;

  constructor(locate: () => string | Promise<string>, deps: RemoteKeysDeps, key = 'relay.trust.token.jwksUrl') {
    this.#locate = locate;
    this.#deps = deps;
    this.#key = key;
    this.getKey = async (header, token) => {
      const set = await this.#loaded();
      try {
        return await set(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        await this.#search(issuedAt(token?.payload));
        const fresh = this.#set ?? set;
        try {
          return await fresh(header, token);
        } catch (missing) {
          this.#searchAt = Math.max(this.#searchAt, deps.now() + SEARCH_PAUSE);
          throw missing;
        }
      }
    };
  }

  async ready(): Promise<undefined> {
    if (this.#set === undefined) await this.#loaded();
    return undefined;
  }

  async #loaded(): Promise<ReturnType<typeof keySet>> {
    const { now } = this.#deps;
    if (this.#set === undefined) {
      if (now() < this.#retryAt) throw this.#unavailable();
      await this.#refresh();
    } else if (now() >= this.#staleAt && now() >= this.#retryAt) {
      this.#refresh().catch(() => {});
    }
    if (this.#set === undefined) throw this.#unavailable();
    return this.#set;
  }

  /**
   * Fetches because of a key that is not there. After a fruitless look-up the next one waits for `SEARCH_PAUSE`, and only for a token
   * that says it is younger than the keys, because anybody can invent a key id.
   *
   * @param issued Unix time in milliseconds, as the token claims
   */
  async #search(issued: number): Promise<void> {
    const now = this.#deps.now();
    if (this.#running === undefined && now < this.#retryAt) throw this.#unavailable();
    if (this.#running !== undefined || now >= this.#searchAt) return this.#refresh();
    if (issued + AGE_SLACK <= this.#fetchedAt) return undefined;
    this.#nextSearch ??= sleep(this.#searchAt - now).then(() => {
      this.#nextSearch = undefined;
      return this.#refresh();
    });
    return this.#nextSearch;
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
    const startedAt = now();
    try {
      const url = await this.#locate();
      this.#set = keySet(await fetchJson(url, fetcher));
      this.#fetchedAt = startedAt;
      this.#failures = 0;
      this.#retryAt = 0;
      this.#staleAt = now() + FRESH;
    } catch (cause) {
      this.#failures += 1;
      this.#retryAt = now() + wait(this.#failures);
      this.#failure = new Error(`${this.#key}: ${failureText(cause)}`, { cause });
      throw this.#unavailable();
    }
  }

  #unavailable(): DependencyUnavailable {
    return new DependencyUnavailable('the source of public keys', this.#failure);
  }
}

/** The claimed time of issue, in milliseconds; 0 where there is none. Read before the signature is checked: it only decides how long to look. */
function issuedAt(payload: string | Uint8Array | undefined): number {
  try {
    const text = typeof payload === 'string' ? Buffer.from(payload, 'base64url').toString() : '{}';
    const { iat } = JSON.parse(text) as { iat?: unknown };
    return typeof iat === 'number' ? iat * 1000 : 0;
  } catch {
    return 0;
  }
}

function wait(attempts: number): number {
  return Math.min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT);
}
