import { BoundedCache } from '../../platform/bounded-cache.ts';
import { Unreached } from './member.ts';
import { withinTime } from './time-limit.ts';

/** Of the time limit, for how long a user's lists leave a server out that did not answer; doubled with each time up to the last. */
const FIRST_BACKOFF = 0.5;
const LAST_BACKOFF = 6;
/** Of the time limit, what a server gets that has not answered since it took all of it. */
const SHARE = 0.1;
/** Pairs of a user and a server that are remembered. */
const MAX_REMEMBERED = 10_000;

/** Asks one server on behalf of one user. */
export interface ServerCall<T> {
  readonly server: string;
  readonly owner: string;
  /** Ends it earlier, when the client takes its request back. */
  readonly signal: AbortSignal;
  /** Must end when its signal does. */
  readonly ask: (signal: AbortSignal) => Promise<T>;
}

/**
 * Servers that took all of their time and gave no answer. The next requests for all servers do not wait as long again: a user
 * whom one left waiting is not asked for for a while, and others find out within a tenth of the time, beside their answer. What
 * one user makes a server do thus hides it from nobody else.
 */
export class HungServers {
  readonly limit: number;
  readonly #now: () => number;
  readonly #hung = new Set<string>();
  readonly #backOffs = new BoundedCache<string, { until: number; delay: number }>({ max: MAX_REMEMBERED });

  /**
   * @param limit milliseconds for one server
   * @param now milliseconds of a clock that nobody sets
   */
  constructor(limit: number, now: () => number = () => performance.now()) {
    this.limit = limit;
    this.#now = now;
  }

  /** @throws Unreached with `timeout`, or what `ask` throws */
  async within<T>(asked: ServerCall<T>): Promise<T> {
    const { server, owner, signal } = asked;
    const key = JSON.stringify([server, owner]);
    if (this.#now() < (this.#backOffs.get(key)?.until ?? 0))
      throw new Unreached('timeout', 'the MCP server did not answer in time before; it is asked again soon');
    if (!this.#hung.has(server)) return this.#watched(asked, key, signal);
    // It goes on beside the answer that comes without it, or a server that is slow by now would never be found to be back.
    const attempt = this.#watched(asked, key, undefined);
    attempt.catch(() => {});
    return withinTime(this.limit * SHARE, signal, () => attempt);
  }

  /** The server seems to be back: it is asked again, for what `within` gives to one that hung. */
  askAgain(server: string, owner: string): void {
    const backOff = this.#backOffs.get(JSON.stringify([server, owner]));
    if (backOff !== undefined) backOff.until = 0;
  }

  async #watched<T>({ server, ask }: ServerCall<T>, key: string, outer: AbortSignal | undefined): Promise<T> {
    const asking = withinTime(this.limit, outer ?? new AbortController().signal, ask);
    try {
      const answer = await asking;
      this.#answered(server, key);
      return answer;
    } catch (error) {
      if (error instanceof Unreached && error.reason === 'timeout') this.#tookAll(server, key);
      // An error and a refused connection come at once: nobody waits for those.
      else if (outer?.aborted !== true) this.#answered(server, key);
      throw error;
    }
  }

  #answered(server: string, key: string): void {
    this.#hung.delete(server);
    this.#backOffs.delete(key);
  }

  #tookAll(server: string, key: string): void {
    const last = this.#backOffs.get(key)?.delay;
    const delay = last === undefined ? this.limit * FIRST_BACKOFF : Math.min(last * 2, this.limit * LAST_BACKOFF);
    this.#hung.add(server);
    this.#backOffs.set(key, { until: this.#now() + delay, delay });
  }
}
