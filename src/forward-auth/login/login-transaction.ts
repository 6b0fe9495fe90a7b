import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import { hostCookieName } from '../sessions/cookie.ts';
import type { TransactionSecrets } from './provider-client.ts';

/** One sign-in under way. It lives in `state` alone, sealed: any number of tabs costs no storage and one cookie. */
export interface LoginTransaction extends TransactionSecrets {
  readonly provider: string;
  readonly back: string;
  readonly origin: string;
  /** SHA-256 of the browser's binding cookie, base64url. */
  readonly binding: string;
  /** Unix time in milliseconds. */
  readonly at: number;
  /** Ids of the providers that the page offers, by comma; absent: all. */
  readonly offered?: string;
  /** Begun for one that was unbound. That is done once, or a browser without cookies would go round in circles. */
  readonly again?: boolean;
}

export type LoginTransactionResult =
  | { readonly kind: 'good'; readonly attempt: LoginTransaction }
  | { readonly kind: 'expired'; readonly attempt: LoginTransaction }
  /**
   * Bound to another cookie than this browser's: of tabs that are opened at one moment each gets its own, and the last one
   * stays. Its code may not be used, as it could be somebody else's.
   */
  | { readonly kind: 'unbound'; readonly attempt: LoginTransaction }
  /** Not ours, or another browser's: nothing of it may be used but, once signed in, where it leads. */
  | { readonly kind: 'foreign'; readonly attempt?: LoginTransaction };

const PURPOSE = 'sign-in-attempt';
/** Seconds; an attempt's own lifetime is checked beside it. */
const COOKIE_LIFETIME = 3_600;
const BINDING = /^[\w-]{43}$/;

export class LoginTransactions {
  readonly #sealing: Sealing;
  readonly #cookie: string;
  readonly #lifetime: number;
  readonly #now: () => number;

  /** @param lifetime milliseconds */
  constructor(sealing: Sealing, sessionCookie: string, lifetime: number, now: () => number) {
    this.#sealing = sealing;
    this.#cookie = hostCookieName(sessionCookie, 'sign-in');
    this.#lifetime = lifetime;
    this.#now = now;
  }

  begin(
    cookieHeader: string | undefined,
    place: Pick<LoginTransaction, 'provider' | 'back' | 'origin' | 'offered' | 'again'>,
  ): { readonly attempt: LoginTransaction; readonly state: string; readonly cookie: string } {
    // The browser's other tabs are bound to the cookie it has.
    const value = this.#bindings(cookieHeader)[0] ?? randomBytes(32).toString('base64url');
    const attempt: LoginTransaction = {
      ...place,
      nonce: randomBytes(32).toString('base64url'),
      verifier: randomBytes(32).toString('base64url'),
      binding: hash(value).toString('base64url'),
      at: this.#now(),
    };
    const cookie = `${this.#cookie}=${value}; Path=/; Max-Age=${COOKIE_LIFETIME}; HttpOnly; Secure; SameSite=Lax`;
    return { attempt, state: this.#sealing.seal(PURPOSE, JSON.stringify(attempt)), cookie };
  }

  open(state: string, cookieHeader: string | undefined): LoginTransactionResult {
    const text = this.#sealing.open(PURPOSE, state);
    if (text === undefined) return { kind: 'foreign' };
    const attempt = JSON.parse(text.toString()) as LoginTransaction;
    const bound = Buffer.from(attempt.binding, 'base64url');
    const age = this.#now() - attempt.at;
    // Replicas' clocks may differ a little; an attempt from the far future is none of theirs.
    const good = age <= this.#lifetime && age >= -60_000;
    const bindings = this.#bindings(cookieHeader);
    if (bindings.some((value) => timingSafeEqual(hash(value), bound)))
      return { kind: good ? 'good' : 'expired', attempt };
    const once = good && bindings.length > 0 && attempt.again !== true;
    return { kind: once ? 'unbound' : 'foreign', attempt };
  }

  /** Every value under the name: a cookie planted by a neighbouring domain must not hide ours. */
  #bindings(cookieHeader = ''): string[] {
    return cookieHeader
      .split(';')
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(`${this.#cookie}=`))
      .map((pair) => pair.slice(this.#cookie.length + 1))
      .filter((value) => BINDING.test(value))
      .slice(0, 4);
  }
}

function hash(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}
