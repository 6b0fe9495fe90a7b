import { BoundedCache } from '../../platform/bounded-cache.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { textBytes } from '../../platform/retained-bytes.ts';
import { RefusedError } from '../refusal.ts';

export interface GrantedToken {
  readonly accessToken: string;
  /** Unix time in milliseconds. */
  readonly expiresAt: number;
}

/** Milliseconds for which a failure answers without another attempt. */
const FAILED = 5_000;
/** Milliseconds before its expiry at which a token is renewed, at most. */
const BEFORE = 60_000;

/** Bytes of all tokens, and again of all failures: a key holds the person's groups. */
const MAX_BYTES = 32 * 1024 * 1024;
const OF_AN_ERROR = 2_048;

interface Held extends GrantedToken {
  readonly renewAt: number;
}

/**
 * Access tokens by all that they depend on. Of many requests that need one at once, one asks; near its end a token is renewed
 * beside the request; a failure is remembered for a moment.
 */
export class TokenCache {
  readonly #now: () => number;
  readonly #tokens: BoundedCache<string, Held>;
  readonly #failures: BoundedCache<string, { readonly error: unknown; readonly until: number }>;
  readonly #running = new Map<string, Promise<string>>();

  /** @param max tokens held; the least used one goes */
  constructor(max: number, now: () => number) {
    this.#now = now;
    this.#tokens = new BoundedCache({
      max,
      maxSize: MAX_BYTES,
      sizeCalculation: ({ accessToken }, key) => textBytes(accessToken) + textBytes(key),
    });
    this.#failures = new BoundedCache({
      max,
      maxSize: MAX_BYTES,
      sizeCalculation: (_, key) => OF_AN_ERROR + textBytes(key),
    });
  }

  /**
   * @param grant asks for a token
   * @throws DependencyUnavailable, RefusedError what `grant` threw; anything else becomes `DependencyUnavailable`
   */
  token(key: string, grant: () => Promise<GrantedToken>): string | Promise<string> {
    const now = this.#now();
    const held = this.#tokens.get(key);
    if (held !== undefined && now < held.renewAt) return held.accessToken;
    const usable = held !== undefined && now < held.expiresAt;
    const failure = this.#failures.get(key);
    if (failure !== undefined && now < failure.until) {
      if (usable) return held.accessToken;
      throw failure.error;
    }
    const running = this.#running.get(key) ?? this.#start(key, grant);
    return usable ? held.accessToken : running;
  }

  /** The server refused this token: it is not used again. */
  drop(key: string, accessToken: string): void {
    if (this.#tokens.get(key)?.accessToken === accessToken) this.#tokens.delete(key);
  }

  #start(key: string, grant: () => Promise<GrantedToken>): Promise<string> {
    const attempt = this.#grant(key, grant).finally(() => this.#running.delete(key));
    // Nobody may be left to hear of it.
    attempt.catch(() => {});
    this.#running.set(key, attempt);
    return attempt;
  }

  async #grant(key: string, grant: () => Promise<GrantedToken>): Promise<string> {
    try {
      const granted = await grant();
      const now = this.#now();
      const renewAt = granted.expiresAt - Math.min(BEFORE, (granted.expiresAt - now) / 4);
      this.#tokens.set(key, { ...granted, renewAt });
      this.#failures.delete(key);
      return granted.accessToken;
    } catch (cause) {
      const known = cause instanceof DependencyUnavailable || cause instanceof RefusedError;
      const error = known ? cause : new DependencyUnavailable('the authorization server', cause);
      this.#failures.set(key, { error, until: this.#now() + FAILED });
      throw error;
    }
  }
}
