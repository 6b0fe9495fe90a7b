import type { Person } from '../identity/user.ts';
import type { SecurityEventKind } from '../platform/config/watch-schema.ts';
import type { Observation } from './observation.ts';

/** Something that a detector makes of what it was told. */
export interface Finding {
  readonly kind: SecurityEventKind;
  /** Whom or what it is about: the same kind and subject within the window is one event. */
  readonly subject: string;
  /** How often, in the observation that led to it. */
  readonly count: number;
  /** How often by now, where it took more than one observation. */
  readonly total?: number;
  readonly person?: Person | undefined;
  readonly address?: string | undefined;
  readonly server?: string | undefined;
  readonly reason?: string | undefined;
}

/** One way to see that something is unusual. It knows no clock, log or metric, and remembers a bounded number of users. */
export interface Detector {
  /** @param now Unix time in milliseconds */
  see(observation: Observation, now: number): Finding | undefined | Promise<Finding | undefined>;
}
