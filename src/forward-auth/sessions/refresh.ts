import { BoundedCache } from '../../platform/bounded-cache.ts';
import { CountedWarning } from '../../platform/counted-warning.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { failureText } from '../../platform/failure-reason.ts';
import type { Logger } from '../../platform/log.ts';
import type { Lock, Locks } from '../../stores/stores.ts';
import type { EndReason, RefreshTokens, Session, SessionEvent, SignedIn } from './session.ts';
import { sessionBytes } from './session-record.ts';

/**
 * Milliseconds: longer than metadata, token, keys and userinfo together may take at a slow provider, so that no two ask at
 * once. A refresh token that is used twice ends the grant (RFC 9700 §4.14.2).
 */
const LOCK_LIFETIME = 25_000;
/** Milliseconds for the provider. */
const ATTEMPT = 10_000;
/** Milliseconds that a request waits for somebody else's refresh once its access token has expired. */
const WAIT = 10_000;
const POLL = 50;
/** Milliseconds until a process asks again whether another one still refreshes. */
const ELSEWHERE = 1_000;
const FIRST_BACKOFF = 5_000;
const LAST_BACKOFF = 60_000;
/** Milliseconds between attempts to write down what a provider has renewed. */
const SAVE_AGAIN = 500;
/** Sessions whose failures are remembered. */
const MAX_REMEMBERED = 10_000;
/** Bytes of sessions that wait to be stored; what is forgotten has its person sign in again. */
const MAX_UNSAVED = 16 * 1024 * 1024;

/** What the one owner of sessions offers to their refresh. */
export interface RefreshStore {
  /** Straight from the store; undefined where it is over. */
  read(key: string): Promise<Session | undefined>;
  /** Compare and set, announced. @returns false where it changed or ended meanwhile */
  replace(session: Session): Promise<boolean>;
  end(key: string, reason: EndReason): Promise<unknown>;
  news(key: string, timeout: number): Promise<void>;
}

export interface RefreshTimes {
  /** Milliseconds before its expiry at which an access token is renewed. */
  readonly refreshBefore: number;
  /** Milliseconds from a session's first failed refresh to its last that end it; 0: the first ends it. */
  readonly outageTimeout: number;
}

export interface RefreshDependencies {
  readonly refreshTokens: RefreshTokens;
  readonly store: RefreshStore;
  readonly locks: Locks;
  readonly log: Logger;
  readonly now: () => number;
  readonly onEvent: (event: SessionEvent) => void;
}

/** Renews access tokens: one token request for each session, across all processes (RFC 6749 §6, RFC 9700 §4.14). */
export class Refresher {
  readonly #times: RefreshTimes;
  readonly #deps: RefreshDependencies;
  readonly #running = new Map<string, Promise<Session | undefined>>();
  readonly #later = new BoundedCache<string, { next: number; delay: number }>({ max: MAX_REMEMBERED });
  /** Renewed at the provider, which may take the token before no more, and not known to be in the store. */
  readonly #unsaved = new BoundedCache<string, Session>({
    max: MAX_REMEMBERED,
    maxSize: MAX_UNSAVED,
    sizeCalculation: sessionBytes,
  });

  /** A provider that is away fails every session. */
  readonly #away: CountedWarning;

  constructor(times: RefreshTimes, deps: RefreshDependencies) {
    this.#times = times;
    this.#deps = deps;
    this.#away = new CountedWarning(deps.log, 'tokens cannot be refreshed; sessions go on with their old ones');
  }

  /** Unix time in milliseconds of the next attempt; never where there is nothing to refresh. */
  dueAt({ key, version, tokens, renewedAt }: Session): number {
    const { accessTokenExpiresAt: expiry, refreshToken } = tokens;
    if (expiry === undefined || refreshToken === undefined) return Number.POSITIVE_INFINITY;
    // A token that lives no longer than `refreshBefore` would otherwise be renewed by every request.
    const window = Math.min(this.#times.refreshBefore, Math.max(0, expiry - renewedAt) / 2);
    // Many people sign in at the same moment: their tokens, which end together, are not renewed together.
    const due = expiry - window * (1 - spread(key, version) / 2);
    return Math.max(due, this.#later.get(key)?.next ?? 0);
  }

  /** Whether the access token is over, so that a request has to wait for another one. */
  isExpired({ tokens }: Session): boolean {
    const { accessTokenExpiresAt: expiry } = tokens;
    return expiry !== undefined && this.#deps.now() >= expiry;
  }

  /** Renews the tokens beside the request, which goes on with those it has. @returns whether this began it */
  refreshBeside(session: Session): boolean {
    if (this.#running.has(session.key)) return false;
    void this.#start(session);
    return true;
  }

  /** @returns the session with which a request goes on whose access token is over; undefined where the session has ended */
  async refresh(session: Session): Promise<Session | undefined> {
    const { key, provider } = session;
    const waited = await within(this.#running.get(key) ?? this.#start(session), WAIT);
    if (waited !== TOO_LATE) return waited;
    throw new DependencyUnavailable(`the identity provider "${provider}"`);
  }

  /**
   * Asks the provider now whether and as whom the person goes on, whatever the times of the tokens say. Without a refresh
   * token there is nobody to ask, and the session is as it was.
   *
   * @returns undefined where it has ended
   * @throws DependencyUnavailable where the provider does not answer
   */
  async renew(session: Session): Promise<Session | undefined> {
    const { key, version, provider, tokens } = session;
    if (tokens.refreshToken === undefined) return session;
    const deadline = performance.now() + WAIT;
    for (;;) {
      const latest = await (this.#running.get(key) ?? this.#start(session));
      if (latest === undefined) return undefined;
      const backingOff = (this.#later.get(key)?.delay ?? 0) > 0;
      const failing = latest.failingSince !== undefined || (latest.version === version && backingOff);
      if (latest.version > version && !failing) return latest;
      if (failing || performance.now() >= deadline)
        throw new DependencyUnavailable(`the identity provider "${provider}"`);
      await this.#deps.store.news(key, POLL);
    }
  }

  #start(session: Session): Promise<Session | undefined> {
    const attempt = this.#attempt(session).finally(() => this.#running.delete(session.key));
    // Nobody may be left to hear of it.
    attempt.catch(() => {});
    this.#running.set(session.key, attempt);
    return attempt;
  }

  async #attempt(session: Session): Promise<Session | undefined> {
    const { locks, store, now } = this.#deps;
    const { key } = session;
    const deadline = performance.now() + WAIT;
    for (let latest: Session = session; ; ) {
      let lock: Lock | undefined;
      try {
        lock = await locks.acquire(`refresh ${key}`, LOCK_LIFETIME);
      } catch (error) {
        // The session itself was found: where the store only reads, it goes on as it is. The provider was not asked, so this is no outage of it.
        this.#notLocked(session, error);
        return latest;
      }
      if (lock !== undefined) return this.#holding(lock, session);
      if (!this.isExpired(latest)) {
        this.#later.set(key, { next: now() + ELSEWHERE, delay: this.#later.get(key)?.delay ?? 0 });
        return latest;
      }
      if (performance.now() >= deadline) throw new DependencyUnavailable(`the identity provider "${session.provider}"`);
      await store.news(key, POLL);
      const found = await store.read(key);
      if (found === undefined || found.version > session.version) return found;
      latest = found;
    }
  }

  async #holding(lock: Lock, before: Session): Promise<Session | undefined> {
    const { store, now } = this.#deps;
    try {
      const session = await store.read(before.key);
      if (session === undefined) return undefined;
      // Somebody else was first.
      if (session.version > before.version && now() < this.dueAt(session)) return session;
      return await this.#ask(session);
    } finally {
      await lock.release();
    }
  }

  async #ask(session: Session): Promise<Session | undefined> {
    const { refreshTokens } = this.#deps;
    const { key } = session;
    const unsaved = this.#unsaved.get(key);
    if (unsaved?.version === session.version + 1) return this.#save(unsaved);
    let answer: Awaited<ReturnType<RefreshTokens>>;
    try {
      answer = await refreshTokens(session, AbortSignal.timeout(ATTEMPT));
    } catch (error) {
      return this.#failed(session, error);
    }
    if (answer.kind === 'unchecked') return this.#failed(session, answer.cause, answer.refreshToken);
    if (answer.kind === 'refused' || !samePerson(session, answer.signedIn))
      return this.#end(session, 'refresh_refused');
    return this.#save(this.#renewed(session, answer.signedIn));
  }

  async #save(renewed: Session): Promise<Session | undefined> {
    const { store, onEvent } = this.#deps;
    const { key } = renewed;
    let saved: boolean;
    try {
      saved = await store.replace(renewed);
    } catch (error) {
      if (error instanceof DependencyUnavailable && !this.#unsaved.has(key)) this.#saveLater(renewed);
      throw error;
    }
    this.#unsaved.delete(key);
    if (!saved) return store.read(key);
    this.#later.delete(key);
    onEvent('refreshed');
    return renewed;
  }

  /** @returns the session that was renewed meanwhile, which goes on */
  async #end({ key, version }: Session, reason: EndReason): Promise<Session | undefined> {
    const { store } = this.#deps;
    const found = await store.read(key);
    if (found === undefined || found.version > version) return found;
    await store.end(key, reason);
    return undefined;
  }

  /** Also where nobody asks here again, because another process might: with a token that the provider takes no more. */
  #saveLater(renewed: Session): void {
    const { key, endsAt } = renewed;
    this.#unsaved.set(key, renewed);
    const again = async (): Promise<void> => {
      if (this.#unsaved.get(key) !== renewed) return;
      if (this.#deps.now() >= endsAt) return void this.#unsaved.delete(key);
      await this.#save(renewed).catch(() => setTimeout(again, SAVE_AGAIN).unref());
    };
    setTimeout(again, SAVE_AGAIN).unref();
  }

  #renewed({ failingSince: _over, ...session }: Session, { identity, tokens }: SignedIn): Session {
    const { refreshToken, idToken } = session.tokens;
    return {
      ...session,
      identity,
      version: session.version + 1,
      renewedAt: this.#deps.now(),
      // RFC 6749 §6: without a new refresh token the old one stays.
      tokens: {
        ...(refreshToken === undefined ? {} : { refreshToken }),
        ...(idToken === undefined ? {} : { idToken }),
        ...tokens,
      },
    };
  }

  /**
   * The session goes on with what it has until refreshes have failed for `outageTimeout`. The first failure is stored, because the
   * next one may be another process's.
   *
   * @param refreshToken a new one that the next attempt needs; all else waits until it can be checked
   */
  async #failed(session: Session, error: unknown, refreshToken?: string): Promise<Session | undefined> {
    const { log, now, onEvent, store } = this.#deps;
    const { key, provider, tokens } = session;
    const failed = now();
    const first = this.#backOff(key, failed);
    onEvent('refresh_failed');
    const { failingSince = failed } = session;
    if (failed - failingSince >= this.#times.outageTimeout) {
      log.warn(
        { error: failureText(error), provider },
        'tokens could not be refreshed for auth.sessions.outageTimeout; the session ends',
      );
      return this.#end(session, 'provider_outage');
    }
    if (first) this.#away.warn({ error: failureText(error), provider });
    if (session.failingSince !== undefined && refreshToken === undefined) return session;
    const marked: Session = {
      ...session,
      version: session.version + 1,
      failingSince,
      tokens: { ...tokens, ...(refreshToken === undefined ? {} : { refreshToken }) },
    };
    return (await store.replace(marked)) ? marked : store.read(key);
  }

  #notLocked({ key, provider }: Session, error: unknown): void {
    const { log, now, onEvent } = this.#deps;
    onEvent('refresh_failed');
    if (this.#backOff(key, now()))
      log.warn(
        { error: failureText(error), provider },
        'tokens cannot be refreshed while the store takes no lock; the session goes on',
      );
  }

  /** @returns whether nothing had failed here since the last success */
  #backOff(key: string, failed: number): boolean {
    const last = this.#later.get(key)?.delay ?? 0;
    const delay = last === 0 ? FIRST_BACKOFF : Math.min(last * 2, LAST_BACKOFF);
    this.#later.set(key, { next: failed + delay, delay });
    return last === 0;
  }
}

/** @returns the same share of 1 for a version of a session in all processes, another one for each */
function spread(key: string, version: number): number {
  let hash = version;
  for (let at = 0; at < key.length; at++) hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0;
  // Of the finalizer of MurmurHash3: the last characters alone would move the lowest bits only.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** Subjects are unique within one issuer only (OpenID Connect Core §5.7). */
export function samePerson({ identity, provider }: SignedIn, signedIn: SignedIn): boolean {
  const { issuer, subject } = signedIn.identity;
  return provider === signedIn.provider && identity.issuer === issuer && identity.subject === subject;
}

const TOO_LATE = Symbol('too late');

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | typeof TOO_LATE> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof TOO_LATE>((resolve) => {
    timer = setTimeout(() => resolve(TOO_LATE), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
