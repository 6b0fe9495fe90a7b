import { Registry } from 'prom-client';
import type { Identity } from '../../src/identity/identity.ts';
import type { Person } from '../../src/identity/user.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import { createLogger } from '../../src/platform/log.ts';
import type { Stores } from '../../src/stores/stores.ts';
import { openWatch } from '../../src/watch/open-watch.ts';
import type { Watch } from '../../src/watch/watch.ts';
import { open } from '../stores/open.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export interface Watched {
  readonly watch: Watch;
  readonly clock: { now: number };
  readonly registry: Registry;
  /** Log lines, parsed. */
  readonly lines: Array<Record<string, unknown>>;
  /** Looks at what was told, and names the kinds of all events so far, oldest first. */
  kinds(): Promise<string[]>;
  /** Looks at what was told, at another time. */
  at(time: number): Promise<void>;
}

/** A watch as a process has it, with a clock of its own. @param stores absent: in memory */
export async function watching(
  settings: object = {},
  given: {
    readonly process?: 'forward-auth' | 'relay';
    readonly stores?: Stores;
    readonly clock?: { now: number };
  } = {},
): Promise<Watched> {
  const {
    process = 'forward-auth',
    stores = await open(undefined),
    clock = { now: Date.parse('2026-01-05T08:00:00Z') },
  } = given;
  const lines: Array<Record<string, unknown>> = [];
  const registry = new Registry();
  const log = createLogger('test', 'info', { write: (line) => void lines.push(JSON.parse(line)) });
  const watch = openWatch(parseConfig({ watch: settings }).watch, {
    process,
    stores,
    registry,
    log,
    now: () => clock.now,
  });
  if (watch === undefined) throw new Error('the watch is off');
  return {
    watch,
    clock,
    registry,
    lines,
    async kinds() {
      await watch.look();
      return (await watch.recent.list()).map(({ kind }) => kind).reverse();
    },
    async at(time) {
      await watch.look();
      clock.now = time;
    },
  };
}

export function person(subject: string): Person {
  return { subject, issuer: 'https://idp.test' };
}

export function identity(subject: string): Identity {
  return {
    subject,
    email: '',
    name: '',
    groups: [],
    scopes: [],
    method: 'session',
    issuer: 'https://idp.test',
  };
}
