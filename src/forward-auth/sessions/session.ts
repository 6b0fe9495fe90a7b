import type { Identity } from '../../identity/identity.ts';

/** Tokens of the provider, kept for refresh, userinfo and sign-out. They never leave forward-auth. */
export interface SessionTokens {
  readonly accessToken: string;
  /** Unix time in milliseconds; undefined where the provider does not say. */
  readonly accessTokenExpiresAt?: number;
  readonly refreshToken?: string;
  /** The hint of an RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0 §2). */
  readonly idToken?: string;
}

/** What signing in establishes. */
export interface SignedIn {
  /** With `method: 'session'`. */
  readonly identity: Identity;
  /** Id of the configured provider. */
  readonly provider: string;
  /** The provider's own session (`sid`, OpenID Connect Back-Channel Logout 1.0 §2.1), where it names one. */
  readonly providerSession?: string;
  readonly tokens: SessionTokens;
}

/** A browser session. Times are Unix times in milliseconds. */
export interface Session extends SignedIn {
  /** Hash of the id in the cookie: names the session in lists and logs, and opens nothing. */
  readonly key: string;
  readonly version: number;
  readonly createdAt: number;
  /** When its tokens came. */
  readonly renewedAt: number;
  /** When its tokens could not be renewed for the first time since they last were. */
  readonly failingSince?: number;
  /** It ends then, used or not. */
  readonly endsAt: number;
  /** From where it was begun, for the person's own list. */
  readonly userAgent: string;
  readonly address: string;
}

export interface Browser {
  readonly userAgent: string;
  readonly address: string;
  /** Host of the request, which decides the cookie's domain where there are several. */
  readonly host: string;
}

/** Why a session ended; a metric label. */
export type EndReason =
  | 'signed_out'
  | 'replaced'
  | 'provider_logout'
  | 'provider_removed'
  | 'operator'
  | 'refresh_refused'
  | 'provider_outage'
  | 'expired';

/** What is counted about sessions; a metric label. */
export type SessionEvent = EndReason | 'begun' | 'refreshed' | 'touch_failed' | 'refresh_failed';

/** What a request's session cookie is worth. */
export type Visit =
  | { readonly kind: 'absent' }
  /** Different values under the cookie's name: one of them is not ours. */
  | { readonly kind: 'conflict' }
  /** It names no live session. */
  | { readonly kind: 'ended' }
  | {
      readonly kind: 'live';
      readonly session: Session;
      /** `Set-Cookie` values, now and then: the session goes on for longer. */
      readonly cookies?: readonly string[];
    };

/** Outcome of a refresh. An outage is thrown instead. */
export type Refreshed =
  | { readonly kind: 'refreshed'; readonly signedIn: SignedIn }
  /** The provider took the refresh token and gave another, but who the person is now could not be checked. */
  | { readonly kind: 'unchecked'; readonly refreshToken: string; readonly cause: unknown }
  /** The provider says that the grant is over. */
  | { readonly kind: 'refused' };

/**
 * Asks the provider for new tokens.
 *
 * @param signal ends the attempt; what comes later is still kept
 * @throws DependencyUnavailable where the provider does not answer
 */
export type RefreshTokens = (session: Session, signal: AbortSignal) => Promise<Refreshed>;

export interface SessionPage {
  readonly sessions: readonly Session[];
  /** Where the next page begins; undefined: this was the last. */
  readonly next: string | undefined;
}

/** The one owner of sessions: nothing else reads or writes them. Rejects with `DependencyUnavailable` where the store is away. */
export interface Sessions {
  /**
   * Begins a session under a new id, and ends the one that the browser came with.
   *
   * @param cookieHeader the request's `Cookie`
   * @returns `Set-Cookie` values
   */
  begin(signedIn: SignedIn, browser: Browser, cookieHeader: string | undefined): Promise<readonly string[]>;
  /** The live session that a `Cookie` header names, straight from the store or a cache that may be believed. */
  find(cookieHeader: string | undefined): Session | undefined | Promise<Session | undefined>;
  /** As `find`, for a request that uses the session: it stays alive for another idle time. The same object each time. */
  visit(cookieHeader: string | undefined, host: string): Visit | Promise<Visit>;
  /** Whether a `Cookie` header has the session's cookie, whatever that is worth. */
  carries(cookieHeader: string): boolean;
  /** What of a `Cookie` header may go on upstream; undefined: all of it, empty: nothing. */
  stripped(cookieHeader: string | undefined): string | undefined;
  /** First in the store, then everywhere. @returns whether there was one */
  end(key: string, reason: EndReason): Promise<boolean>;
  /** Sessions of one person at one issuer, newest first. */
  ofUser(issuer: string, subject: string): Promise<Session[]>;
  /** All sessions, a page at a time, those first that end soonest. @param after `next` of the page before */
  page(after: string | undefined, limit: number): Promise<SessionPage>;
  /** Sessions that a provider's logout names: by `sid`, or all of a subject. */
  ofProviderSession(issuer: string, sid: string): Promise<Session[]>;
  /** The live session of a key, straight from the store: for what outlives a request of the browser. */
  byKey(key: string): Promise<Session | undefined>;
  /**
   * Asks the provider whether and as whom the person goes on, and counts as use of the session.
   *
   * @returns undefined where it has ended
   * @throws DependencyUnavailable also where the provider does not answer
   */
  renew(key: string): Promise<Session | undefined>;
  /**
   * Told before the session that a browser came with is replaced by a new one of the same person: what stands and falls with a session
   * goes over to the new one. @returns ends the subscription
   */
  onReplace(listener: (from: string, to: Session) => Promise<void>): () => void;
  /** Told of each session that this process ends, once it is over in the store. @returns ends the subscription */
  onEnd(listener: (key: string) => Promise<void>): () => void;
  /** `Set-Cookie` values that remove the session's cookie. */
  removal(host: string): readonly string[];
}
