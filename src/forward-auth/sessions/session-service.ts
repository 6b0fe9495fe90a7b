import { randomBytes } from 'node:crypto';
import type { SessionsConfig } from '../../platform/config/schema.ts';
import { NO_QUEUE, type Queue } from '../../platform/overload-queue.ts';
import type { Stores } from '../../stores/stores.ts';
import { CONFLICT, SessionCookie } from './cookie.ts';
import { Refresher, samePerson } from './refresh.ts';
import type { Browser, EndReason, RefreshTokens, Session, SessionPage, Sessions, SignedIn, Visit } from './session.ts';
import { type Known, SessionCache } from './session-cache.ts';
import { EVERY, isSessionId, keyOf, ownerTerm, providerTerm } from './session-record.ts';
import { StoredSessions, type StoredSessionsDependencies } from './stored-sessions.ts';

/** The store hears of a session's use at most so often in one idle time. */
const TOUCHES = 20;
/** Characters kept of what a browser says about itself. */
const MAX_USER_AGENT = 256;

const ABSENT: Visit = { kind: 'absent' };
const CONFLICTING: Visit = { kind: 'conflict' };
const ENDED: Visit = { kind: 'ended' };

export interface SessionServiceDependencies extends StoredSessionsDependencies {
  readonly stores: Pick<Stores, 'sessions' | 'locks' | 'pubSub'>;
  /** Takes the look-ups of cookies that are not remembered; absent: nothing is refused. */
  readonly queue?: Queue;
  /** Absent: tokens are not renewed. */
  readonly refreshTokens?: RefreshTokens;
  /** Why what somebody signed in with no longer counts; absent: it always does. */
  readonly endOf?: (signedIn: SignedIn) => EndReason | undefined;
}

/** Sessions in a store, with opaque cookies. */
export class SessionService implements Sessions {
  readonly #config: SessionsConfig;
  readonly #deps: SessionServiceDependencies;
  readonly #cookie: SessionCookie;
  readonly #cache: SessionCache;
  readonly #stored: StoredSessions;
  readonly #refresher: Refresher | undefined;
  readonly #replaceListeners = new Set<(from: string, to: Session) => Promise<void>>();
  #touchFailing = false;

  constructor(config: SessionsConfig, deps: SessionServiceDependencies) {
    this.#config = config;
    this.#deps = deps;
    this.#cookie = new SessionCookie(config);
    this.#cache = new SessionCache(config.cache, deps.stores.pubSub);
    this.#stored = new StoredSessions(config.idleTimeout, this.#cache, deps);
    const { refreshTokens, stores, log, now, onEvent } = deps;
    if (refreshTokens !== undefined)
      this.#refresher = new Refresher(config, {
        refreshTokens,
        locks: stores.locks,
        log,
        now,
        onEvent,
        store: {
          read: async (key) => (await this.#stored.read(key))?.session,
          replace: (session) => this.#stored.replace(session),
          end: (key, reason) => this.#stored.end(key, reason),
          news: (key, timeout) => this.#cache.news(key, timeout),
        },
      });
  }

  close(): void {
    this.#cache.close();
  }

  async begin(signedIn: SignedIn, browser: Browser, cookieHeader: string | undefined): Promise<readonly string[]> {
    const id = randomBytes(32).toString('base64url');
    const createdAt = this.#deps.now();
    const session: Session = {
      ...signedIn,
      key: keyOf(id),
      version: 1,
      createdAt,
      renewedAt: createdAt,
      endsAt: createdAt + this.#config.absoluteLifetime,
      userAgent: browser.userAgent.slice(0, MAX_USER_AGENT),
      address: browser.address,
    };
    await this.#stored.create(session);
    // Whatever the browser came with was not made for this sign-in (session fixation).
    for (const old of this.#cookie.readAll(cookieHeader))
      if (isSessionId(old)) await this.#replace(keyOf(old), session);
    return [this.#cookie.set(id, this.#stored.idleEnd(session) - createdAt, browser.host)];
  }

  find(cookieHeader: string | undefined): Session | undefined | Promise<Session | undefined> {
    const visit = this.#visit(cookieHeader, undefined);
    return visit instanceof Promise ? visit.then(sessionOf) : sessionOf(visit);
  }

  visit(cookieHeader: string | undefined, host: string): Visit | Promise<Visit> {
    return this.#visit(cookieHeader, host);
  }

  carries(cookieHeader: string): boolean {
    return this.#cookie.read(cookieHeader) !== undefined;
  }

  stripped(cookieHeader: string | undefined): string | undefined {
    return this.#cookie.stripped(cookieHeader);
  }

  removal(host: string): readonly string[] {
    return this.#cookie.removal(host);
  }

  end(key: string, reason: EndReason): Promise<boolean> {
    return this.#stored.end(key, reason);
  }

  ofUser(issuer: string, subject: string): Promise<Session[]> {
    return this.#stored.list(
      ownerTerm(issuer, subject),
      ({ identity }) => identity.issuer === issuer && identity.subject === subject,
    );
  }

  page(after: string | undefined, limit: number): Promise<SessionPage> {
    return this.#stored.page(EVERY, after, limit);
  }

  ofProviderSession(issuer: string, sid: string): Promise<Session[]> {
    return this.#stored.list(
      providerTerm(issuer, sid),
      ({ identity, providerSession }) => identity.issuer === issuer && providerSession === sid,
    );
  }

  async byKey(key: string): Promise<Session | undefined> {
    return this.#going((await this.#stored.read(key))?.session);
  }

  /** Ends a session that may not go on. */
  async #going(session: Session | undefined): Promise<Session | undefined> {
    const reason = session && this.#deps.endOf?.(session);
    if (session === undefined || reason === undefined) return session;
    await this.#stored.end(session.key, reason);
    return undefined;
  }

  async renew(key: string): Promise<Session | undefined> {
    const found = await this.byKey(key);
    if (found === undefined) return undefined;
    const session = this.#refresher === undefined ? found : await this.#refresher.renew(found);
    if (session === undefined) return undefined;
    // Not where it is gone: nothing brings an ended session back.
    return (await this.#deps.stores.sessions.extend(key, this.#stored.idleEnd(session))) ? session : undefined;
  }

  onEnd(listener: (key: string) => Promise<void>): () => void {
    return this.#stored.onEnd(listener);
  }

  onReplace(listener: (from: string, to: Session) => Promise<void>): () => void {
    this.#replaceListeners.add(listener);
    return () => void this.#replaceListeners.delete(listener);
  }

  async #replace(key: string, by: Session): Promise<void> {
    const old = await this.byKey(key);
    if (old !== undefined && samePerson(old, by))
      for (const listener of this.#replaceListeners) await listener(key, by);
    await this.end(key, 'replaced');
  }

  /** @param host of a request that uses the session; undefined: it is only looked at */
  #visit(cookieHeader: string | undefined, host: string | undefined): Visit | Promise<Visit> {
    const id = this.#cookie.read(cookieHeader);
    if (id === undefined) return ABSENT;
    if (id === CONFLICT) return CONFLICTING;
    const known = this.#cache.get(id);
    const now = this.#deps.now();
    if (known !== undefined && now < known.quietUntil) return known.visit;
    if (!isSessionId(id)) return ENDED;
    if (known !== undefined && now < known.cachedUntil && now < known.expiresAt && now < known.session.endsAt)
      return this.#attend(known, host);
    const { queue = NO_QUEUE } = this.#deps;
    const looking = this.#cache.isFamiliar(id) ? this.#lookUp(id) : queue.run(() => this.#lookUp(id));
    return Promise.resolve(looking).then((found) => (found === undefined ? ENDED : this.#attend(found, host)));
  }

  /** Refreshes and touches a session that is alive, where it is time. */
  #attend(known: Known, host: string | undefined): Visit | Promise<Visit> {
    const refresher = this.#refresher;
    if (refresher === undefined || this.#deps.now() < refresher.dueAt(known.session)) return this.#touch(known, host);
    if (!refresher.isExpired(known.session)) {
      const began = refresher.refreshBeside(known.session);
      if (!began || host === undefined) return this.#touch(known, host);
      // A refresh moves the session's end in the store, as a touch does, and no other answer would tell the browser.
      return this.#withCookie({ ...known, expiresAt: this.#stored.idleEnd(known.session) }, host);
    }
    return refresher.refresh(known.session).then((session) => {
      if (session === undefined) return ENDED;
      if (session.version === known.session.version) return this.#touch(this.#settle(known), host);
      // Not remembered: it may have been ended since. The next request looks it up.
      const renewed: Known = {
        ...known,
        session,
        visit: { kind: 'live', session },
        expiresAt: this.#stored.idleEnd(session),
      };
      return host === undefined ? renewed.visit : this.#withCookie(renewed, host);
    });
  }

  #touch(known: Known, host: string | undefined): Visit {
    if (host === undefined) return known.visit;
    const { stores, log, onEvent } = this.#deps;
    const { key } = known.session;
    if (this.#deps.now() < this.#touchAt(known)) return known.visit;
    const expiresAt = this.#stored.idleEnd(known.session);
    known.expiresAt = expiresAt;
    this.#settle(known);
    stores.sessions.extend(key, expiresAt).then(
      (was) => {
        this.#touchFailing = false;
        if (!was) this.#cache.drop(key);
      },
      (error) => {
        onEvent('touch_failed');
        if (!this.#touchFailing) log.warn({ error }, 'the use of sessions cannot be noted; they may end by idleness');
        this.#touchFailing = true;
      },
    );
    return this.#withCookie(known, host);
  }

  #lookUp(id: string): Promise<Known | undefined> {
    const key = keyOf(id);
    return this.#cache.look(key, async (fresh) => {
      const found = await this.#stored.read(key);
      if (found === undefined) return undefined;
      const { session, expiresAt } = found;
      if ((await this.#going(session)) === undefined) return undefined;
      const cachedUntil = this.#deps.now() + this.#config.cache.entryLifetime;
      const known: Known = { id, session, expiresAt, cachedUntil, quietUntil: 0, visit: { kind: 'live', session } };
      this.#settle(known);
      this.#cache.meet(id);
      if (fresh()) this.#cache.keep(known);
      return known;
    });
  }

  /** Works out when something is next to be done about it. */
  #settle(known: Known): Known {
    const { session, expiresAt, cachedUntil } = known;
    const refreshAt = this.#refresher?.dueAt(session) ?? Number.POSITIVE_INFINITY;
    known.quietUntil = Math.min(cachedUntil, expiresAt, session.endsAt, this.#touchAt(known), refreshAt);
    return known;
  }

  #withCookie({ id, session, expiresAt }: Known, host: string): Visit {
    return { kind: 'live', session, cookies: [this.#cookie.set(id, expiresAt - this.#deps.now(), host)] };
  }

  /** When the store hears of the session's use again; never where use can move its end no more. */
  #touchAt({ session, expiresAt }: Known): number {
    if (expiresAt >= session.endsAt) return Number.POSITIVE_INFINITY;
    return expiresAt - this.#config.idleTimeout + this.#config.idleTimeout / TOUCHES;
  }
}

function sessionOf(visit: Visit): Session | undefined {
  return visit.kind === 'live' ? visit.session : undefined;
}
