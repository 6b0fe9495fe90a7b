import type { SecurityEventKind } from '../../platform/config/watch-schema.ts';
import type { Detector, Finding } from '../detector.ts';
import type { Observation } from '../observation.ts';
import { SlidingCounts } from '../sliding-counts.ts';

/** What of an observation is counted, and for whom; undefined: nothing. */
export type Count = (observation: Observation) => Omit<Finding, 'kind' | 'total'> | undefined;

export interface ThresholdSettings {
  readonly maxCount: number;
  /** Milliseconds. */
  readonly within: number;
  /** Subjects that are remembered. */
  readonly remembered: number;
}

/** Something that is usual once and unusual in such a number. */
export class ThresholdDetector implements Detector {
  readonly #kind: SecurityEventKind;
  readonly #maxCount: number;
  readonly #count: Count;
  readonly #counts: SlidingCounts;

  constructor(kind: SecurityEventKind, count: Count, { maxCount, within, remembered }: ThresholdSettings) {
    this.#kind = kind;
    this.#maxCount = maxCount;
    this.#count = count;
    this.#counts = new SlidingCounts(within, remembered);
  }

  see(observation: Observation, now: number): Finding | undefined {
    const counted = this.#count(observation);
    if (counted === undefined) return undefined;
    const total = this.#counts.add(counted.subject, counted.count, now);
    return total >= this.#maxCount ? { kind: this.#kind, ...counted, total } : undefined;
  }
}
