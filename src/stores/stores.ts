import type { LimitKey } from './limit-key.ts';

/**
 * What both processes keep outside their own memory. One small interface a need; each has an implementation in memory and
 * one on Redis or Valkey, and one contract suite runs on all of them. Every method that cannot reach the store rejects with
 * `DependencyUnavailable`.
 */
export interface Stores {
  readonly kind: 'memory' | 'redis';
  readonly sessions: SessionStore;
  readonly locks: Locks;
  readonly pubSub: PubSub;
  readonly documents: Documents;
  /**
   * Records that are found again by index terms, as sessions are. Each name is a store of its own, so that a flood of one kind
   * drives out no other; where there are too many, those that end soonest are forgotten.
   */
  records(name: string, bounds: RecordBounds): RecordStore;
  /** @param window milliseconds */
  limiter(name: string, limit: number, window: number): Limiter;
  /**
   * Appends lines to a list of bounded length that others may follow; undefined in memory, where nobody could.
   *
   * @param maxLength lines that are kept, about
   */
  readonly stream: ((name: string, maxLength: number) => (lines: readonly string[]) => Promise<void>) | undefined;
  /** @param max entries; the oldest goes first */
  recent(name: string, max: number): RecentEntries;
  /** Whether the store answers now; undefined: it does, otherwise what is wrong in a few words. */
  problem(): Promise<string | undefined>;
  close(): Promise<void>;
}

export interface RecordBounds {
  /** In memory; Redis counts bytes only. */
  readonly maxRecords: number;
  readonly maxBytes: number;
}

/** A session as the store sees it: everything that says something about a person is sealed or hashed. */
export interface SessionEntry {
  /** Hash of the session's id; the id itself is in the cookie only. */
  readonly key: string;
  /** Starts at 1 and goes up by one with each replacement. */
  readonly version: number;
  /** Sealed contents. */
  readonly value: string;
  /** Hashed terms by which sessions are found again, such as their owner's. Fixed for the life of a session. */
  readonly indexes: readonly string[];
  /** Unix time in milliseconds at which the store forgets the session. */
  readonly expiresAt: number;
}

export interface SessionPage {
  readonly entries: readonly SessionEntry[];
  /** Where the next page begins; undefined: this was the last. */
  readonly next: string | undefined;
}

export interface SessionStore {
  /** Acknowledged means kept: `end` and a restart of the store's client aside, `read` finds it. */
  create(entry: SessionEntry): Promise<void>;
  read(key: string): Promise<SessionEntry | undefined>;
  /**
   * Replaces value and expiry of the session where its version is `entry.version - 1`, in one step.
   *
   * @returns false where the session is gone or has another version: nothing was changed, and an ended session stays ended
   */
  replace(entry: SessionEntry): Promise<boolean>;
  /** Moves the expiry of a session that still is. @returns false where it is gone */
  extend(key: string, expiresAt: number): Promise<boolean>;
  /** Ends a session, first of all in the store. Announcing it is the caller's. @returns whether there was one */
  end(key: string): Promise<boolean>;
  /** Live sessions with an index term, in no order. */
  find(index: string): Promise<SessionEntry[]>;
  /**
   * As `find`, a page at a time, those first that end soonest. One that is used meanwhile moves behind: it may come twice, and none is missed.
   *
   * @param after `next` of the page before
   */
  page(index: string, after: string | undefined, limit: number): Promise<SessionPage>;
}

/** What is kept like a session: sealed, versioned, with index terms and an expiry. */
export type StoredRecord = SessionEntry;
export type RecordStore = SessionStore;

export interface Lock {
  /** Gives the lock back where it is still ours. Never rejects: it ends by itself after its time. */
  release(): Promise<void>;
}

export interface Locks {
  /**
   * One holder at a time among all processes.
   *
   * @param lifetime milliseconds after which the lock ends by itself
   * @returns undefined where somebody else holds it
   */
  acquire(name: string, lifetime: number): Promise<Lock | undefined>;
  /** Takes a name for good, until `lifetime` (milliseconds) is over. @returns false where it was taken: a replay */
  once(name: string, lifetime: number): Promise<boolean>;
}

/**
 * Messages to every process, the sender included. What one process says is heard by all within a second and the round trip
 * to the store, or they know that they may have missed something.
 */
export interface PubSub {
  /** Where it rejects, it goes on trying: what is announced is a fact already. */
  publish(topic: string, message: string): Promise<void>;
  /** @returns ends the subscription */
  subscribe(topic: string, listener: (message: string) => void): () => void;
  /**
   * True while everything said lately was surely heard: our own heartbeat goes through the store and comes back. Where it is
   * false, nothing cached may be believed. In memory: always true.
   */
  readonly complete: boolean;
  /** Called when messages may have been missed, so that caches are emptied. */
  onGap(listener: () => void): () => void;
}

/** Small records by id, such as API keys. */
export interface Documents {
  /** @param expiresAt Unix time in milliseconds; undefined: kept until removed */
  put(collection: string, id: string, value: string, expiresAt?: number): Promise<void>;
  get(collection: string, id: string): Promise<string | undefined>;
  remove(collection: string, id: string): Promise<boolean>;
  list(collection: string): Promise<Array<{ readonly id: string; readonly value: string }>>;
}

/** The newest of something, for those who look. */
export interface RecentEntries {
  /**
   * Keeps an entry, in place of the one with its id.
   *
   * @param at by which entries are ordered; fixed for an id
   */
  put(id: string, at: number, value: string): Promise<void>;
  /** Newest first. */
  list(limit: number): Promise<string[]>;
}

export interface Consumption {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Milliseconds until the window is over. */
  readonly resetIn: number;
}

/** Counts by key within fixed windows, across all processes where there is Redis. */
export interface Limiter {
  /** @throws DependencyUnavailable where the configuration says `refuse` and the store is away */
  consume(key: LimitKey, points?: number): Promise<Consumption>;
}
