import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { SessionsConfig } from '../../platform/config/schema.ts';
import { textBytes } from '../../platform/retained-bytes.ts';
import type { PubSub } from '../../stores/stores.ts';
import type { Session } from './session.ts';
import { sessionBytes } from './session-record.ts';

/** Cookie values of 43 characters. */
const MAX_FAMILIAR = 50_000;

/** Said to every process when a session ended (`<key>`) or changed (`<key> <version>`). */
export const TOPIC = 'session';

/** What one process knows of a live session. */
export interface Known {
  readonly id: string;
  readonly session: Session;
  /** The one answer that is given for it, so that nothing is made anew for each request. */
  readonly visit: { readonly kind: 'live'; readonly session: Session };
  /** Unix time in milliseconds of the idle expiry, as far as known here. */
  expiresAt: number;
  /** Until then it is believed without asking the store. */
  readonly cachedUntil: number;
  /** Until then nothing at all is to be done about it; never later than any other time here. */
  quietUntil: number;
}

/** Sessions remembered by cookie value. Only as good as the announcements: while they may be missed, it is empty. */
export class SessionCache {
  readonly #pubSub: PubSub;
  readonly #known: BoundedCache<string, Known> | undefined;
  readonly #ids = new Map<string, string>();
  /** Cookie values that were good lately, also where nothing about them may be believed now. */
  readonly #familiar = new BoundedCache<string, true>({ max: MAX_FAMILIAR });
  readonly #looks = new Map<string, { stale: boolean; answer: Promise<unknown> }>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #release: Array<() => void>;

  constructor({ maxEntries: max, maxBytes }: SessionsConfig['cache'], pubSub: PubSub) {
    this.#pubSub = pubSub;
    this.#known =
      max === 0
        ? undefined
        : new BoundedCache({
            max,
            maxSize: maxBytes,
            sizeCalculation: knownBytes,
            dispose: (known, _id, reason) => {
              if (reason !== 'set') this.#ids.delete(known.session.key);
            },
          });
    this.#release = [pubSub.subscribe(TOPIC, (message) => this.#heard(message)), pubSub.onGap(() => this.#clear())];
  }

  /** @returns undefined also where nothing may be believed */
  get(id: string): Known | undefined {
    return this.#pubSub.complete ? this.#known?.get(id) : undefined;
  }

  /** Whether the cookie was good lately: whoever has one is no stranger, though the store must be asked again. */
  isFamiliar(id: string): boolean {
    return this.#familiar.has(id);
  }

  meet(id: string): void {
    this.#familiar.set(id, true);
  }

  keep(known: Known): void {
    if (this.#known === undefined || !this.#pubSub.complete) return;
    this.#known.set(known.id, known);
    // One that alone is larger than all may be is not kept.
    if (this.#known.has(known.id)) this.#ids.set(known.session.key, known.id);
  }

  drop(key: string): void {
    this.#heard(key);
  }

  /** One look at a time for each session. */
  look<T>(key: string, start: (fresh: () => boolean) => Promise<T>): Promise<T> {
    const running = this.#looks.get(key);
    if (running !== undefined) return running.answer as Promise<T>;
    const complete = this.#pubSub.complete;
    const look = { stale: !complete, answer: Promise.resolve() as Promise<unknown> };
    this.#looks.set(key, look);
    const done = () => {
      if (this.#looks.get(key) === look) this.#looks.delete(key);
    };
    const answer = start(() => !look.stale && this.#pubSub.complete).finally(done);
    look.answer = answer;
    return answer;
  }

  /** Resolves when something is said about the session, at the latest after so many milliseconds. */
  news(key: string, timeout: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      const wake = () => {
        clearTimeout(timer);
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
        resolve();
      };
      const timer = setTimeout(wake, timeout);
      waiting.add(wake);
    });
  }

  close(): void {
    for (const release of this.#release) release();
    this.#clear();
  }

  #heard(message: string): void {
    const [key = '', version] = message.split(' ');
    this.#outdate(key);
    const id = this.#ids.get(key);
    const known = id === undefined ? undefined : this.#known?.peek(id);
    if (id !== undefined && version === undefined) this.#familiar.delete(id);
    if (known !== undefined && (version === undefined || known.session.version < Number(version)))
      this.#known?.delete(known.id);
    for (const wake of [...(this.#waiting.get(key) ?? [])]) wake();
  }

  #outdate(key: string): void {
    const look = this.#looks.get(key);
    if (look === undefined) return;
    look.stale = true;
    this.#looks.delete(key);
  }

  #clear(): void {
    for (const key of [...this.#looks.keys()]) this.#outdate(key);
    this.#known?.clear();
    this.#ids.clear();
  }
}

function knownBytes({ id, session }: Known): number {
  // Its key is remembered beside it.
  return textBytes(id) + textBytes(session.key) + sessionBytes(session);
}
