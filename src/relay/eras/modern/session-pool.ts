import type { ClientFacts } from '../../protocol/client-facts.ts';
import { SERVER_ERROR } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Caller } from '../../trust/caller.ts';
import type { LegacySessions } from '../../upstreams/legacy-sessions.ts';
import { ownerOf, type RequestContext } from '../../upstreams/upstream-request.ts';
import { PooledSession } from './pooled-session.ts';

export interface SessionLimits {
  /** Sessions with one server that one identity may have at a time, busy and idle ones. */
  readonly perOwner: number;
  /** Sessions with one server altogether. */
  readonly all: number;
  /** Requests of one identity that may wait for one of its sessions to be free. */
  readonly waiting: number;
  /** Milliseconds that a session waits for its client to ask again; 0: it ends after its use. */
  readonly idle: number;
}

/** Requests with the same key get the same headers at the server, and may be made in one session. */
export type KeyOf = (caller: Caller) => string;

interface Idle {
  readonly session: PooledSession;
  readonly owner: string;
  readonly timer: NodeJS.Timeout;
}

export interface Lease {
  readonly session: PooledSession;
  /** It was used before: the server may have forgotten it by now. */
  readonly isUsed: boolean;
  /** Gives it back; once. */
  release(): void;
}

/**
 * The sessions of stateless clients with one server. A client gets one that its own identity has opened, with the same abilities
 * and the same headers for the server, or a new one: never somebody else's.
 */
export class SessionPool {
  readonly #sessions: LegacySessions;
  readonly #keyOf: KeyOf;
  readonly #limits: SessionLimits;
  /** By identity, headers and abilities of the client. */
  readonly #idle = new Map<string, Idle[]>();
  readonly #owned = new Map<string, number>();
  /** Called when a session of the identity has become free, in the order in which they came. */
  readonly #waiting = new Map<string, Array<() => void>>();
  readonly #busy = new Set<PooledSession>();
  #count = 0;
  #closed = false;

  constructor(sessions: LegacySessions, keyOf: KeyOf, limits: SessionLimits) {
    this.#sessions = sessions;
    this.#keyOf = keyOf;
    this.#limits = limits;
  }

  /** @throws ServerError where there are too many, and what opening one throws */
  async lease(context: RequestContext, facts: ClientFacts, signal: AbortSignal): Promise<Lease> {
    const owner = ownerOf(context.caller);
    const headers = context.caller && this.#keyOf(context.caller);
    const key = JSON.stringify([owner, headers, facts.capabilities, facts.clientInfo]);
    for (;;) {
      if (this.#closed) throw new ServerError(SERVER_ERROR, 'the relay is shutting down; ask again');
      const idle = this.#takeIdle(key);
      if (idle !== undefined) return this.#leased(idle, owner, key, true);
      if (this.#isFull(owner)) this.#endIdle(owner);
      if (!this.#isFull(owner)) return this.#open(context, facts, signal, { owner, key });
      // Those of others may last, and none of them ends for this one.
      if (this.#count >= this.#limits.all) throw new ServerError(SERVER_ERROR, 'too many sessions at this server');
      await this.#turn(owner, signal);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const idle = [...this.#idle.values()].flat();
    this.#idle.clear();
    for (const { timer } of idle) clearTimeout(timer);
    for (const wake of [...this.#waiting.values()].flat()) wake();
    await Promise.all([...idle.map(({ session }) => session), ...this.#busy].map((session) => session.close()));
  }

  async #open(
    context: RequestContext,
    facts: ClientFacts,
    signal: AbortSignal,
    { owner, key }: { owner: string; key: string },
  ): Promise<Lease> {
    this.#add(owner, 1);
    try {
      return this.#leased(await PooledSession.open(this.#sessions, facts, context, signal), owner, key, false);
    } catch (error) {
      this.#add(owner, -1);
      this.#wake(owner);
      throw error;
    }
  }

  /** @throws ServerError where too many wait already; the signal's reason */
  #turn(owner: string, signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting.get(owner) ?? [];
    if (waiting.length >= this.#limits.waiting)
      throw new ServerError(SERVER_ERROR, 'too many requests at once: wait for the answers of some');
    this.#waiting.set(owner, waiting);
    return new Promise((resolve, reject) => {
      const done = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        const place = waiting.indexOf(done);
        if (place >= 0) waiting.splice(place, 1);
        if (waiting.length === 0) this.#waiting.delete(owner);
        reject(signal.reason);
      };
      waiting.push(done);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #wake(owner: string): void {
    const waiting = this.#waiting.get(owner);
    const next = waiting?.shift();
    if (waiting?.length === 0) this.#waiting.delete(owner);
    next?.();
  }

  #leased(session: PooledSession, owner: string, key: string, isUsed: boolean): Lease {
    this.#busy.add(session);
    return {
      session,
      isUsed,
      release: () => {
        if (!this.#busy.delete(session)) return;
        if (session.lost || this.#closed || this.#limits.idle === 0) this.#end(session, owner);
        else this.#rest(session, owner, key);
        this.#wake(owner);
      },
    };
  }

  #rest(session: PooledSession, owner: string, key: string): void {
    const timer = setTimeout(() => {
      this.#keep(
        key,
        (this.#idle.get(key) ?? []).filter((one) => one.session !== session),
      );
      this.#end(session, owner);
    }, this.#limits.idle).unref();
    this.#keep(key, [...(this.#idle.get(key) ?? []), { session, owner, timer }]);
  }

  #takeIdle(key: string): PooledSession | undefined {
    const idle = this.#idle.get(key) ?? [];
    let taken = idle.pop();
    for (; taken !== undefined; taken = idle.pop()) {
      clearTimeout(taken.timer);
      if (!taken.session.lost) break;
      this.#end(taken.session, taken.owner);
    }
    this.#keep(key, idle);
    return taken?.session;
  }

  #isFull(owner: string): boolean {
    return this.#count >= this.#limits.all || (this.#owned.get(owner) ?? 0) >= this.#limits.perOwner;
  }

  /** Makes room by ending what this owner opened first, for a client that says other things of itself. */
  #endIdle(owner: string): void {
    for (const [key, idle] of this.#idle) {
      const found = idle.find((one) => one.owner === owner);
      if (found === undefined) continue;
      clearTimeout(found.timer);
      this.#keep(
        key,
        idle.filter((one) => one !== found),
      );
      return void this.#end(found.session, owner);
    }
  }

  #keep(key: string, idle: Idle[]): void {
    if (idle.length === 0) this.#idle.delete(key);
    else this.#idle.set(key, idle);
  }

  #end(session: PooledSession, owner: string): void {
    this.#add(owner, -1);
    void session.close();
  }

  #add(owner: string, change: 1 | -1): void {
    this.#count += change;
    const owned = (this.#owned.get(owner) ?? 0) + change;
    if (owned === 0) this.#owned.delete(owner);
    else this.#owned.set(owner, owned);
  }
}
