import { randomBytes } from 'node:crypto';
import type { SessionsConfig } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import type { Stores } from '../../stores/stores.ts';
import { CONFLICT, SessionCookie } from './cookie.ts';
import { Refresher } from './refresh.ts';
import type { Sealing } from './sealing.ts';
import type { Browser, EndReason, RefreshTokens, Session, SessionEvent, Sessions, SignedIn, Visit } from './session.ts';
import { isOver, type Known, SessionCache, TOPIC } from './session-cache.ts';
import { fromEntry, isSessionId, keyOf, ownerTerm, providerTerm, toEntry } from './session-record.ts';

/** The store hears of a session's use at most so often in one idle time. */
const TOUCHES = 20;
/** Characters kept of what a browser says about itself. */
const MAX_USER_AGENT = 256;

const ABSENT: Visit = { kind: 'absent' };
const CONFLICTING: Visit = { kind: 'conflict' };
const ENDED: Visit = { kind: 'ended' };

export interface SessionServiceDependencies {
  readonly stores: Pick<Stores, 'sessions' | 'locks' | 'announcements'>;
  readonly sealing: Sealing;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly onEvent: (event: SessionEvent) => void;
  /** Absent: tokens are not renewed. */
  readonly refreshTokens?: RefreshTokens;
}

/** Sessions in a store, with opaque cookies. */
export class SessionService implements Sessions {
  readonly #config: SessionsConfig;
  readonly #deps: SessionServiceDependencies;
  readonly #cookie: SessionCookie;
  readonly #cache: SessionCache;
  readonly #refresher: Refresher | undefined;
  #touchFailing = false;
  #warnedUnreadable = false;

  constructor(config: SessionsConfig, deps: SessionServiceDependencies) {
    this.#config = config;
    this.#deps = deps;
    this.#cookie = new SessionCookie(config);
    this.#cache = new SessionCache(config.cache.max, deps.stores.announcements);
    const { refreshTokens, stores, log, now, onEvent } = deps;
    if (refreshTokens !== undefined)
      this.#refresher = new Refresher(config.refreshBefore, {
        refreshTokens,
        locks: stores.locks,
        log,
        now,
        onEvent,
        store: {
          read: async (key) => (await this.#read(key))?.session,
          replace: (session) => this.#replace(session),
          end: (key) => this.end(key, 'refresh_refused'),
          news: (key, timeout) => this.#cache.news(key, timeout),
        },
      });
  }

  close(): void {
    this.#cache.close();
  }

  async begin(signedIn: SignedIn, browser: Browser, cookieHeader: string | undefined): Promise<readonly string[]> {
    const { stores, sealing, now, onEvent } = this.#deps;
    const { idle, absolute } = this.#config;
    const id = randomBytes(32).toString('base64url');
    const createdAt = now();
    const session: Session = {
      ...signedIn,
      key: keyOf(id),
      version: 1,
      createdAt,
      renewedAt: createdAt,
      endsAt: createdAt + absolute,
      userAgent: browser.userAgent.slice(0, MAX_USER_AGENT),
      address: browser.address,
    };
    const lifetime = Math.min(idle, absolute);
    await stores.sessions.create(toEntry(session, createdAt + lifetime, sealing));
    onEvent('begun');
    // Whatever the browser came with was not made for this sign-in (session fixation).
    for (const old of this.#cookie.readAll(cookieHeader)) if (isSessionId(old)) await this.end(keyOf(old), 'replaced');
    return [this.#cookie.set(id, lifetime, browser.host)];
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

  async end(key: string, reason: EndReason): Promise<boolean> {
    const { stores, onEvent } = this.#deps;
    const existed = await stores.sessions.end(key);
    if (existed) onEvent(reason);
    this.#cache.drop(key);
    // Also where there was none: a first attempt may have failed after the store and before this.
    await stores.announcements.publish(TOPIC, key);
    return existed;
  }

  async ofUser(issuer: string, subject: string): Promise<Session[]> {
    return this.#list(
      ownerTerm(issuer, subject),
      ({ identity }) => identity.issuer === issuer && identity.subject === subject,
    );
  }

  async ofProviderSession(issuer: string, sid: string): Promise<Session[]> {
    return this.#list(
      providerTerm(issuer, sid),
      ({ identity, providerSession }) => identity.issuer === issuer && providerSession === sid,
    );
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
    return this.#lookUp(id).then((found) => (found === undefined ? ENDED : this.#attend(found, host)));
  }

  /** Refreshes and touches a session that is alive, where it is time. */
  #attend(known: Known, host: string | undefined): Visit | Promise<Visit> {
    const due = this.#refresher?.dueAt(known.session) ?? Number.POSITIVE_INFINITY;
    if (this.#refresher === undefined || this.#deps.now() < due) return this.#touch(known, host);
    return this.#refresher.refresh(known.session).then((session) => {
      if (session === undefined) return ENDED;
      if (session.version === known.session.version) return this.#touch(this.#settle(known), host);
      // Not remembered: it may have been ended since. The next request looks it up.
      const renewed: Known = { ...known, session, visit: { kind: 'live', session }, expiresAt: this.#idleEnd(session) };
      return host === undefined ? renewed.visit : this.#withCookie(renewed, host);
    });
  }

  #touch(known: Known, host: string | undefined): Visit {
    if (host === undefined) return known.visit;
    const { stores, log, onEvent } = this.#deps;
    const { key } = known.session;
    if (this.#deps.now() < this.#touchAt(known)) return known.visit;
    const expiresAt = this.#idleEnd(known.session);
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
      const found = await this.#read(key);
      if (found === undefined) return undefined;
      const { session, expiresAt } = found;
      const cachedUntil = this.#deps.now() + this.#config.cache.ttl;
      const known: Known = { id, session, expiresAt, cachedUntil, quietUntil: 0, visit: { kind: 'live', session } };
      this.#settle(known);
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

  async #read(key: string): Promise<{ session: Session; expiresAt: number } | undefined> {
    const { stores, sealing, now, log } = this.#deps;
    const entry = await stores.sessions.read(key);
    if (entry === undefined) return undefined;
    const session = fromEntry(entry, sealing);
    if (session === undefined) {
      if (!this.#warnedUnreadable)
        log.warn('a stored session cannot be opened and counts as none: were auth.sessions.keys changed?');
      this.#warnedUnreadable = true;
      return undefined;
    }
    if (!isOver(session, entry, now())) return { session, expiresAt: entry.expiresAt };
    await this.end(key, 'expired');
    return undefined;
  }

  async #replace(session: Session): Promise<boolean> {
    const { stores, sealing, log } = this.#deps;
    if (!(await stores.sessions.replace(toEntry(session, this.#idleEnd(session), sealing)))) return false;
    this.#cache.drop(session.key);
    // It is done: that nobody was told shows itself by announcements that are not complete.
    const said = stores.announcements.publish(TOPIC, `${session.key} ${session.version}`);
    said.catch((error) => log.warn({ error }, 'a refreshed session could not be announced'));
    return true;
  }

  async #list(term: string, belongs: (session: Session) => boolean): Promise<Session[]> {
    const { stores, sealing, now } = this.#deps;
    const found: Session[] = [];
    for (const entry of await stores.sessions.find(term)) {
      const session = fromEntry(entry, sealing);
      if (session !== undefined && belongs(session) && !isOver(session, entry, now())) found.push(session);
    }
    return found.sort((a, b) => b.createdAt - a.createdAt);
  }

  #withCookie({ id, session, expiresAt }: Known, host: string): Visit {
    return { kind: 'live', session, cookies: [this.#cookie.set(id, expiresAt - this.#deps.now(), host)] };
  }

  #idleEnd(session: Session): number {
    return Math.min(this.#deps.now() + this.#config.idle, session.endsAt);
  }

  /** When the store hears of the session's use again; never where use can move its end no more. */
  #touchAt({ session, expiresAt }: Known): number {
    if (expiresAt >= session.endsAt) return Number.POSITIVE_INFINITY;
    return expiresAt - this.#config.idle + this.#config.idle / TOUCHES;
  }
}

function sessionOf(visit: Visit): Session | undefined {
  return visit.kind === 'live' ? visit.session : undefined;
}
