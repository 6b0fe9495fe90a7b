import { setImmediate as others } from 'node:timers/promises';
import type { Identity } from '../identity/identity.ts';
import { DependencyUnavailable } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';
import type { WatchMetrics } from '../platform/metrics.ts';
import type { Detector, Finding } from './detector.ts';
import type { Observation } from './observation.ts';
import type { RecentEvents, RecentSecurityEvents } from './recent-events.ts';
import type { Reports } from './reports.ts';
import { Tallies } from './tallies.ts';
import type { Webhook } from './webhook/webhook.ts';

/** What the processes tell. Neither method waits, throws or asks anybody. */
export interface Watcher {
  /** A request of somebody was let through. Cheap: for the hot path. @param address empty where it is unknown */
  allowed(identity: Identity, address: string): void;
  observe(observation: Observation): void;
}

export interface WatchDependencies {
  readonly process: 'forward-auth' | 'relay';
  readonly log: Logger;
  readonly metrics: Pick<WatchMetrics, 'dropped'>;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly detectors: readonly Detector[];
  readonly reports: Reports;
  readonly recent: RecentEvents;
  readonly webhook: Webhook | undefined;
}

/** Observations that wait for the next look. */
const MAX_WAITING = 10_000;
/** Milliseconds between two looks. */
const EVERY = 1_000;
/** Milliseconds after which requests have their turn while the watch looks at many users. */
const SLICE = 1;

/** Takes what it is told, and looks at it in the background. */
export class Watch implements Watcher {
  readonly #deps: WatchDependencies;
  readonly #tallies = new Tallies();
  readonly #timer: NodeJS.Timeout;
  #waiting: Observation[] = [];
  #dropped = 0;
  #looking: Promise<void> | undefined;

  constructor(deps: WatchDependencies) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.look(), EVERY);
    this.#timer.unref();
  }

  get recent(): RecentSecurityEvents {
    return this.#deps.recent;
  }

  allowed(identity: Identity, address: string): void {
    if (identity.method !== 'anonymous') this.#tallies.add(identity, address);
  }

  observe(observation: Observation): void {
    if (this.#waiting.length >= MAX_WAITING) this.#dropped += 1;
    else this.#waiting.push(observation);
  }

  /** Looks at all that was told until now. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const observations = [...this.#tallies.take(), ...this.#waiting];
    this.#waiting = [];
    this.#countDropped();
    let until = performance.now() + SLICE;
    for (const observation of observations) {
      for (const detector of this.#deps.detectors) {
        const asked = this.#ask(detector, observation);
        if (asked !== undefined) await asked;
      }
      if (performance.now() < until) continue;
      await others();
      until = performance.now() + SLICE;
    }
    await this.#deps.recent.write();
  }

  /** Mostly there is nothing to wait for, and nothing to say. */
  #ask(detector: Detector, observation: Observation): Promise<void> | undefined {
    try {
      const seen = detector.see(observation, this.#deps.now());
      if (seen === undefined) return undefined;
      return Promise.resolve(seen)
        .then((finding) => this.#report(finding))
        .catch((error: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  async #report(finding: Finding | undefined): Promise<void> {
    if (finding !== undefined) await this.#deps.reports.report(finding, this.#deps.now());
  }

  /** An outage has its own log lines and alerts. */
  #failed(error: unknown): void {
    if (!(error instanceof DependencyUnavailable)) this.#deps.log.error({ error }, 'the watch failed');
  }

  #countDropped(): void {
    const dropped = this.#dropped + this.#tallies.dropped;
    this.#dropped = 0;
    this.#tallies.dropped = 0;
    if (dropped > 0) this.#deps.metrics.dropped.inc({ process: this.#deps.process }, dropped);
  }

  /** Looks once more and tells what was found. @param grace milliseconds */
  async close(grace: number): Promise<void> {
    clearInterval(this.#timer);
    const start = performance.now();
    const late = new Promise<void>((resolve) => setTimeout(resolve, grace).unref());
    await Promise.race([this.#finish(), late]);
    await this.#deps.webhook?.close(Math.max(0, grace - (performance.now() - start)));
  }

  /** A look that has begun does not see what came since. */
  async #finish(): Promise<void> {
    await this.#looking;
    await this.look();
  }
}
