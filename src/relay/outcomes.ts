import type { Logger } from '../platform/log.ts';
import type { RelayMetrics } from '../platform/metrics.ts';
import { exemplarLabels } from '../platform/tracing/current-span.ts';
import { ALL_SERVERS } from './all-servers.ts';
import { causeOf } from './refusal.ts';
import type { Outcome } from './upstreams/response-relay.ts';

/** What an outcome says of the server; of the others nothing can be said. */
const REACHED: Partial<Record<Outcome, boolean>> = {
  relayed: true,
  upstream_refused: true,
  upstream_unreachable: false,
  upstream_timeout: false,
};

/** A message to one server, of which it is known what became. */
export interface Settled {
  readonly server: string;
  /** How its client is known. */
  readonly way: string;
  readonly outcome: Outcome;
  /** Until its answer, where it has one. */
  readonly seconds?: number | undefined;
  readonly error?: unknown;
}

/** Counts, times and logs what became of messages to MCP servers, whichever way they came in. */
export class Outcomes {
  readonly #metrics: Pick<RelayMetrics, 'requests' | 'requestDuration' | 'upstreamUp'>;
  readonly #log: Logger;
  readonly #up = new Map<string, boolean>();

  constructor(metrics: Pick<RelayMetrics, 'requests' | 'requestDuration' | 'upstreamUp'>, log: Logger) {
    this.#metrics = metrics;
    this.#log = log;
  }

  /** @returns whether something failed, which the log says now */
  report({ server, way, outcome, seconds, error }: Settled): boolean {
    const { requests, requestDuration } = this.#metrics;
    requests.inc({ server, method: way, outcome });
    if (seconds !== undefined)
      requestDuration.observe({ labels: { server }, value: seconds, exemplarLabels: exemplarLabels() });
    const up = REACHED[outcome];
    if (up !== undefined) this.reached(server, up);
    const failure = causeOf(error);
    if (failure === undefined) return false;
    const what = outcome === 'refused' ? 'the MCP server was not asked' : 'the MCP server failed';
    this.#log.warn({ server, outcome, error: failure }, what);
    return true;
  }

  /** Keeps `postern_relay_upstream_up`. */
  reached(server: string, up: boolean): void {
    // All servers as one are this process itself.
    if (server === ALL_SERVERS || this.#up.get(server) === up) return;
    this.#up.set(server, up);
    this.#metrics.upstreamUp.set({ server }, up ? 1 : 0);
  }

  /** The server is no longer configured. */
  forget(server: string): void {
    this.#up.delete(server);
    this.#metrics.upstreamUp.remove({ server });
  }
}
