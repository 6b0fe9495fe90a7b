import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProviderConfig } from '../../platform/config/schema.ts';
import { discoverEndpoint } from '../../platform/discovery.ts';
import { failureText } from '../../platform/failure-reason.ts';
import { fetchJson } from '../../platform/fetch-json.ts';
import type { Logger } from '../../platform/log.ts';
import { providerFetch } from '../../platform/provider-fetch.ts';
import { importVerificationKey, keyFits, type VerificationKey } from '../../platform/verification-key.ts';

/** Milliseconds between scheduled fetches of a key set that answers. */
const REFRESH = 10 * 60_000;
/** Milliseconds between two fetches because of unknown key ids: a new key waits no longer, however many others are invented. */
const SEARCH_PAUSE = 2_000;
/** Milliseconds by which a token may be younger than it says: `iat` often is whole seconds, and clocks differ. */
const AGE_SLACK = 5_000;
/** Milliseconds; failures double the wait from the first to the second. */
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
const MAX_KEYS = 100;
const CHECK_PROVIDER =
  'see issuer, discoveryUrl and jwksUri of this provider in auth.providers; `postern doctor` asks them';
/** Keys tried for a token that does not say which. */
const MAX_TRIED = 4;

export interface ProviderKeysDependencies {
  readonly log: Logger;
  /** Milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
  /** Told of each fetch, by the configured id of the provider. */
  readonly onKeys?: (provider: string, fetched: boolean) => void;
}

/**
 * The public keys of one identity provider, found by OpenID Connect Discovery. Keys that were loaded once go on serving
 * while the provider is away.
 */
export class ProviderKeys {
  readonly #provider: Pick<ProviderConfig, 'id' | 'issuer' | 'jwksUri' | 'discoveryUrl'>;
  readonly #dependencies: ProviderKeysDependencies;
  #keys: readonly VerificationKey[] | undefined;
  #jwksUri: string | undefined;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #failures = 0;
  #retryAt = 0;
  #searchAt = 0;
  /** When the newest fetch that succeeded began. */
  #fetchedAt = 0;
  #nextSearch: Promise<void> | undefined;
  #told = 0;

  constructor(
    provider: Pick<ProviderConfig, 'id' | 'issuer' | 'jwksUri' | 'discoveryUrl'>,
    dependencies: ProviderKeysDependencies,
  ) {
    this.#provider = provider;
    this.#dependencies = dependencies;
  }

  get loaded(): boolean {
    return this.#keys !== undefined;
  }

  /** The last fetch failed, so that an unknown key may be one that the provider would have. */
  get failing(): boolean {
    return this.#failures > 0;
  }

  /** Keys that may have signed a token with this header. */
  find(kid: string | undefined, alg: string): KeyObject[] {
    const fitting: KeyObject[] = [];
    for (const entry of this.#keys ?? []) {
      if (kid !== undefined && entry.kid !== undefined && entry.kid !== kid) continue;
      if (kid !== undefined && entry.kid === undefined && this.#keys?.length !== 1) continue;
      if (entry.alg !== undefined && entry.alg !== alg) continue;
      if (keyFits(entry.key, alg)) fitting.push(entry.key);
    }
    // Trying many keys costs a signature check each, for anybody who sends a token without a key id.
    return kid === undefined && fitting.length > MAX_TRIED ? [] : fitting;
  }

  /**
   * Looks once more for a key that is not there: the provider may have rotated, or not have answered yet. Anybody can invent a key id:
   * after a fruitless look-up the next one waits for `SEARCH_PAUSE`, and only for a token that says it is younger than the keys.
   *
   * @param issuedAt Unix time in milliseconds, as the token claims
   * @returns undefined where the keys cannot be known to be fresh, so that the token is neither believed nor refused
   */
  async search(kid: string | undefined, alg: string, issuedAt = 0): Promise<KeyObject[] | undefined> {
    const now = this.#dependencies.now();
    if (this.#running === undefined && now < this.#retryAt) return undefined;
    if (this.#running === undefined && this.loaded && now < this.#searchAt) {
      if (issuedAt + AGE_SLACK <= this.#fetchedAt) return [];
      this.#nextSearch ??= sleep(this.#searchAt - now).then(() => {
        this.#nextSearch = undefined;
        return this.refresh();
      });
      await this.#nextSearch;
    } else await this.refresh();
    const found = this.find(kid, alg);
    this.#searchAt = found.length > 0 ? 0 : this.#dependencies.now() + SEARCH_PAUSE;
    return found.length === 0 && this.failing ? undefined : found;
  }

  /** Fetches now, once for all who ask at the same time, and plans the next fetch. Never rejects. */
  refresh(): Promise<void> {
    this.#running ??= this.#fetch().finally(() => {
      this.#running = undefined;
      this.#schedule();
    });
    return this.#running;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #fetch(): Promise<void> {
    const { log, now, onKeys } = this.#dependencies;
    const fetcher = providerFetch(this.#provider, this.#dependencies.fetch);
    const { id, issuer, jwksUri, discoveryUrl } = this.#provider;
    const startedAt = now();
    try {
      this.#jwksUri ??= jwksUri ?? (await discoverEndpoint(issuer, 'jwks_uri', fetcher, discoveryUrl));
      const { keys } = await fetchJson(this.#jwksUri, fetcher);
      if (!Array.isArray(keys)) throw new Error(`${this.#jwksUri} is no JWK Set`);
      if (keys.length > MAX_KEYS) this.#tellTooMany(keys.length);
      const usable = keys
        .slice(0, MAX_KEYS)
        .map(importVerificationKey)
        .filter((key) => key !== undefined);
      if (usable.length === 0) throw new Error(`${this.#jwksUri} holds no key that verifies signatures`);
      if (this.#keys === undefined || this.#failures > 0)
        log.info({ provider: id, count: usable.length }, 'keys of the identity provider loaded');
      this.#keys = usable;
      this.#fetchedAt = startedAt;
      this.#failures = 0;
      this.#retryAt = 0;
      onKeys?.(id, true);
    } catch (error) {
      // The provider may have moved its keys.
      this.#jwksUri = undefined;
      this.#failures += 1;
      this.#retryAt = now() + wait(this.#failures);
      onKeys?.(id, false);
      log.warn(
        { provider: id, error: failureText(error), count: this.#failures, stale: this.loaded, fix: CHECK_PROVIDER },
        'keys of the identity provider could not be fetched',
      );
    }
  }

  /** Once for each number: tokens by the keys beyond are refused, and nothing else would say why. */
  #tellTooMany(count: number): void {
    if (this.#told === count) return;
    this.#told = count;
    this.#dependencies.log.warn(
      { provider: this.#provider.id, count, used: MAX_KEYS },
      'the identity provider publishes more keys than are used; tokens by the others are refused',
    );
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.refresh(), this.failing ? wait(this.#failures) : REFRESH);
    this.#timer.unref();
  }
}

function wait(attempts: number): number {
  return Math.min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT);
}
