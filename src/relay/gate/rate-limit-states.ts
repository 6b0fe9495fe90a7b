import type { Person } from '../../identity/user.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { RelayConfig } from '../../platform/config/schema.ts';
import type { Consumption } from '../../stores/stores.ts';

/** How much of one window is used. */
export interface RateLimitState {
  readonly by: RelayConfig['rateLimits'][number]['by'];
  /** Without a subject: all the anonymous. */
  readonly person: Person;
  readonly server: string | undefined;
  readonly tool: string | undefined;
  readonly limit: number;
  readonly remaining: number;
  /** The last message was one too many. */
  readonly over: boolean;
  /** Unix time in milliseconds. */
  readonly resetsAt: number;
}

/** Windows that are remembered. */
const MAX = 1_000;

/** The windows that were counted last, for those who look. */
export class RateLimitStates {
  readonly #states = new BoundedCache<string, RateLimitState>({ max: MAX });
  readonly #now: () => number;

  /** @param now Unix time in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param key of the window */
  note(
    key: string,
    about: Omit<RateLimitState, 'remaining' | 'over' | 'resetsAt'>,
    { allowed, remaining, resetIn }: Consumption,
  ): void {
    this.#states.set(key, { ...about, remaining, over: !allowed, resetsAt: this.#now() + resetIn });
  }

  /** Those that run now, the fullest first. */
  list(): RateLimitState[] {
    const now = this.#now();
    return [...this.#states.values()]
      .filter(({ resetsAt }) => resetsAt > now)
      .sort((a, b) => Number(b.over) - Number(a.over) || a.remaining / a.limit - b.remaining / b.limit);
  }
}
