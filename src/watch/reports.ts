import { randomUUID } from 'node:crypto';
import { type UserName, userFields } from '../identity/user.ts';
import { BoundedCache } from '../platform/bounded-cache.ts';
import type { WatchConfig } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import type { WatchMetrics } from '../platform/metrics.ts';
import { Networks } from '../platform/networks.ts';
import { redactText } from '../platform/redact.ts';
import type { Finding } from './detector.ts';
import type { RecentEvents } from './recent-events.ts';
import { MEANINGS, type SecurityEvent } from './security-event.ts';
import type { SharedWatch } from './shared-watch.ts';

export interface ReportsDependencies {
  readonly process: SecurityEvent['process'];
  readonly log: Logger;
  /** Which names of a user are told; absent: none. */
  readonly names?: readonly UserName[];
  readonly metrics: Pick<WatchMetrics, 'events'>;
  readonly recent: RecentEvents;
  /** Absent where no other process could report the same. */
  readonly shared: Pick<SharedWatch, 'locks' | 'alias'> | undefined;
  /** Who else is to be told; it must not wait. */
  readonly tell: ((event: SecurityEvent) => void) | undefined;
}

/** Subjects of events that are still open; the least recent is forgotten first and would be reported again. */
const MAX_OPEN = 10_000;
/** Characters of a name that a stranger may have chosen. */
const MAX_NAME = 256;

/** Makes one event of the same finding within a window, and says it once: to metrics, log, admin pages and the webhook. */
export class Reports {
  readonly #config: Pick<WatchConfig, 'window' | 'addresses'>;
  readonly #deps: ReportsDependencies;
  readonly #networks: Networks;
  /** `undefined` as the event: another replica has reported it. */
  readonly #open = new BoundedCache<string, { readonly until: number; event: SecurityEvent | undefined }>({
    max: MAX_OPEN,
  });

  constructor(config: Pick<WatchConfig, 'window' | 'addresses' | 'networks'>, deps: ReportsDependencies) {
    this.#config = config;
    this.#deps = deps;
    this.#networks = new Networks(config.networks);
  }

  /** @param now Unix time in milliseconds */
  async report(finding: Finding, now: number): Promise<void> {
    const key = JSON.stringify([finding.kind, finding.subject]);
    const open = this.#open.get(key);
    if (open !== undefined && now < open.until) return this.#again(open, finding, now);
    const until = now + this.#config.window;
    if (!(await this.#first(key))) return void this.#open.set(key, { until, event: undefined });
    const event = this.#event(finding, now);
    this.#open.set(key, { until, event });
    const { metrics, process, log, recent, tell } = this.#deps;
    metrics.events.inc({ process, kind: event.kind });
    const { id: eventId, firstAt: _first, lastAt: _last, process: _process, message, ...about } = event;
    log.warn({ event: 'security', eventId, ...about }, message);
    recent.put(event);
    tell?.(event);
  }

  #again(open: { event: SecurityEvent | undefined }, finding: Finding, now: number): void {
    if (open.event === undefined) return;
    open.event = { ...open.event, count: open.event.count + finding.count, lastAt: now };
    this.#deps.recent.put(open.event);
  }

  /** Among all replicas. Where that cannot be known, twice is better than never. */
  async #first(key: string): Promise<boolean> {
    const { shared } = this.#deps;
    if (shared === undefined) return true;
    try {
      return await shared.locks.once(`security:${shared.alias(key)}`, this.#config.window);
    } catch {
      return true;
    }
  }

  #event({ kind, count, total = count, person, address, server, reason }: Finding, now: number): SecurityEvent {
    const { severity, message } = MEANINGS[kind];
    const shown = this.#config.addresses === 'full' ? address : address && this.#networks.of(address);
    return {
      id: randomUUID(),
      kind,
      severity,
      process: this.#deps.process,
      firstAt: now,
      lastAt: now,
      count: total,
      ...given({ ...(person && userFields(person, this.#deps.names ?? [])), address: shown, server, reason }),
      message,
    };
  }
}

/** Without what is unknown, bounded, and without credentials: the log alone would hide them, and events go further. */
function given<K extends string>(fields: Readonly<Partial<Record<K, string | undefined>>>): Partial<Record<K, string>> {
  const known: Partial<Record<K, string>> = {};
  for (const name of Object.keys(fields) as K[])
    if (fields[name]) known[name] = redactText(fields[name] as string).slice(0, MAX_NAME);
  return known;
}
