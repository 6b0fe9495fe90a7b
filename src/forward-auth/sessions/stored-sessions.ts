import type { Logger } from '../../platform/log.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import type { SessionEntry, Stores } from '../../stores/stores.ts';
import type { EndReason, Session, SessionEvent, SessionPage } from './session.ts';
import { type SessionCache, TOPIC } from './session-cache.ts';
import { fromEntry, toEntry } from './session-record.ts';

export interface StoredSessionsDependencies {
  readonly stores: Pick<Stores, 'sessions' | 'pubSub'>;
  readonly sealing: Sealing;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly onEvent: (event: SessionEvent) => void;
}

/** A live session and its idle expiry, Unix time in milliseconds. */
export interface StoredSession {
  readonly session: Session;
  readonly expiresAt: number;
}

/** Sessions as the store has them: sealed on the way in, checked on the way out, and every change announced. */
export class StoredSessions {
  readonly #idle: number;
  readonly #cache: SessionCache;
  readonly #deps: StoredSessionsDependencies;
  readonly #endListeners = new Set<(key: string) => Promise<void>>();
  #warnedUnreadable = false;

  /** @param idle milliseconds */
  constructor(idle: number, cache: SessionCache, deps: StoredSessionsDependencies) {
    this.#idle = idle;
    this.#cache = cache;
    this.#deps = deps;
  }

  /** Unix time in milliseconds until which a session that is used now lives on. */
  idleEnd(session: Session): number {
    return Math.min(this.#deps.now() + this.#idle, session.endsAt);
  }

  async create(session: Session): Promise<void> {
    const { stores, sealing, onEvent } = this.#deps;
    await stores.sessions.create(toEntry(session, this.idleEnd(session), sealing));
    onEvent('begun');
  }

  /** @returns undefined where it is over, or not ours */
  async read(key: string): Promise<StoredSession | undefined> {
    const { stores, sealing, log } = this.#deps;
    const entry = await stores.sessions.read(key);
    if (entry === undefined) return undefined;
    const session = fromEntry(entry, sealing);
    if (session === undefined) {
      if (!this.#warnedUnreadable)
        log.warn('a stored session cannot be opened and counts as none: were auth.sessions.keys changed?');
      this.#warnedUnreadable = true;
      return undefined;
    }
    const stored = { session, expiresAt: entry.expiresAt };
    if (!this.#isOver(stored)) return stored;
    await this.end(key, 'expired');
    return undefined;
  }

  /** @returns false where it changed or ended meanwhile: nothing was changed */
  async replace(session: Session): Promise<boolean> {
    const { stores, sealing, log } = this.#deps;
    if (!(await stores.sessions.replace(toEntry(session, this.idleEnd(session), sealing)))) return false;
    this.#cache.drop(session.key);
    // It is done: that nobody was told shows itself by announcements that are not complete.
    const said = stores.pubSub.publish(TOPIC, `${session.key} ${session.version}`);
    said.catch((error) => log.warn({ error }, 'a refreshed session could not be announced'));
    return true;
  }

  async end(key: string, reason: EndReason): Promise<boolean> {
    const { stores, onEvent } = this.#deps;
    const existed = await stores.sessions.end(key);
    if (existed) onEvent(reason);
    this.#cache.drop(key);
    // Also where there was none: a first attempt may have failed after the store and before this.
    await stores.pubSub.publish(TOPIC, key);
    for (const listener of this.#endListeners) await listener(key);
    return existed;
  }

  onEnd(listener: (key: string) => Promise<void>): () => void {
    this.#endListeners.add(listener);
    return () => void this.#endListeners.delete(listener);
  }

  /** @returns those that belong, newest first */
  async list(term: string, belongs: (session: Session) => boolean): Promise<Session[]> {
    const found = this.#opened(await this.#deps.stores.sessions.find(term)).filter(belongs);
    return found.sort((a, b) => b.createdAt - a.createdAt);
  }

  /** As in the store: those first that end soonest. */
  async page(term: string, after: string | undefined, limit: number): Promise<SessionPage> {
    const { entries, next } = await this.#deps.stores.sessions.page(term, after, limit);
    return { sessions: this.#opened(entries), next };
  }

  #opened(entries: readonly SessionEntry[]): Session[] {
    return entries.flatMap((entry) => {
      const session = fromEntry(entry, this.#deps.sealing);
      return session === undefined || this.#isOver({ session, expiresAt: entry.expiresAt }) ? [] : [session];
    });
  }

  #isOver({ session, expiresAt }: StoredSession): boolean {
    const now = this.#deps.now();
    return now >= session.endsAt || now >= expiresAt;
  }
}
