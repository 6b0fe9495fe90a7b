import type { AuthMetrics } from '../../platform/metrics.ts';
import type { Decision } from '../decision/decision.ts';
import type { ProxyName } from '../decision/request.ts';

interface Tally {
  readonly labels: { proxy: ProxyName; decision: Decision['kind']; method: string; reason: Decision['reason'] };
  count: number;
  /** Seconds. */
  readonly durations: number[];
}

/** Durations are handed over when so many have come together. */
const BATCH = 1024;

/**
 * Counts decisions. The registry's own counters build and hash their labels each time, which costs as much as the rest
 * of a cached check; so numbers gather here and are handed over when somebody reads the metrics.
 */
export class DecisionMeter {
  readonly #metrics: Pick<AuthMetrics, 'decisions' | 'decisionDuration' | 'tokenCache'>;
  readonly #exemplarLabels: (() => Record<string, string>) | undefined;
  /** By proxy, reason and method: joining the three for one key would cost more than three look-ups. */
  readonly #tallies = new Map<ProxyName, Map<string, Map<string, Tally>>>();
  readonly #lookups = { hit: 0, miss: 0 };

  /** @param exemplarLabels of what is being counted; undefined: traces are off */
  constructor(
    metrics: Pick<AuthMetrics, 'decisions' | 'decisionDuration' | 'tokenCache'>,
    exemplarLabels?: () => Record<string, string>,
  ) {
    this.#metrics = metrics;
    this.#exemplarLabels = exemplarLabels;
  }

  /** @param elapsed milliseconds */
  count(proxy: ProxyName, decision: Decision, elapsed: number): void {
    const method = decision.kind === 'allow' ? decision.identity.method : 'none';
    const { reason } = decision;
    const tally = this.#tallies.get(proxy)?.get(reason)?.get(method) ?? this.#begin(proxy, decision, method);
    tally.count += 1;
    if (this.#exemplarLabels === undefined) tally.durations.push(elapsed / 1000);
    else this.#observe(tally, elapsed / 1000, this.#exemplarLabels());
    if (tally.durations.length >= BATCH) this.#handOver(tally);
  }

  #begin(proxy: ProxyName, decision: Decision, method: string): Tally {
    const { kind, reason } = decision;
    const tally: Tally = { labels: { proxy, decision: kind, method, reason }, count: 0, durations: [] };
    const byReason = this.#tallies.get(proxy) ?? new Map<string, Map<string, Tally>>();
    const byMethod = byReason.get(reason) ?? new Map<string, Tally>();
    this.#tallies.set(proxy, byReason.set(reason, byMethod.set(method, tally)));
    return tally;
  }

  lookup(outcome: 'hit' | 'miss'): void {
    this.#lookups[outcome] += 1;
  }

  flush(): void {
    for (const byReason of this.#tallies.values())
      for (const byMethod of byReason.values()) for (const tally of byMethod.values()) this.#handOver(tally);
    for (const outcome of ['hit', 'miss'] as const) {
      this.#metrics.tokenCache.inc({ outcome }, this.#lookups[outcome]);
      this.#lookups[outcome] = 0;
    }
  }

  #handOver(tally: Tally): void {
    this.#metrics.decisions.inc(tally.labels, tally.count);
    for (const seconds of tally.durations) this.#observe(tally, seconds);
    tally.count = 0;
    tally.durations.length = 0;
  }

  #observe({ labels: { proxy, decision } }: Tally, value: number, exemplarLabels: Record<string, string> = {}): void {
    this.#metrics.decisionDuration.observe({ labels: { proxy, decision }, value, exemplarLabels });
  }
}
