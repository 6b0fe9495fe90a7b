import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownerKey } from '../../../identity/identity.ts';
import type { Config } from '../../../platform/config/schema.ts';
import type { Logger } from '../../../platform/log.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import type { Tracing } from '../../../platform/tracing/span.ts';
import type { Budgets, Hold } from '../../gate/budgets/budgets.ts';
import type { Admitted, Intake } from '../../intake.ts';
import type { Outcomes } from '../../outcomes.ts';
import { causeFields } from '../../refusal.ts';
import type { Outcome, SilenceTimes } from '../../upstreams/response-relay.ts';
import type { RetryTimes } from '../../upstreams/resumable-stream.ts';
import type { OpenStreams, StreamEnding } from '../open-streams.ts';
import { Channel } from './channel.ts';
import type { ChannelSink, ReportDetails } from './channel-sink.ts';

/** Times of connections that no operator needs to set; milliseconds. */
export interface ConnectionTimes {
  /** Between two signs of life asked of the client. */
  readonly ping: number;
  /** For the client to answer a close. */
  readonly closeGrace: number;
  /** Of silence after which a stream gets a comment line, which keeps proxies from closing it. */
  readonly keepAlive: number;
  readonly silence: SilenceTimes;
  readonly retry: RetryTimes;
}

export const CONNECTION_TIMES: ConnectionTimes = {
  ping: 30_000,
  closeGrace: 1_000,
  keepAlive: 25_000,
  silence: { own: 1_000, passed: 25_000 },
  retry: { first: 500, longest: 10_000, attempts: 7 },
};

/** Why the relay ends a connection. */
export type Ending = 'draining' | 'upstream_gone' | StreamEnding;

/** How a transport carries what the channel says. */
export interface MessageSink {
  send(text: string): boolean;
  /** Says why, as far as the transport can, and closes. */
  end(why: Ending): void;
  settled?(): void;
}

export interface ConnectionDeps {
  readonly config: Config;
  readonly intake: Intake;
  readonly metrics: RelayMetrics;
  readonly log: Logger;
  readonly now: () => number;
  readonly times: ConnectionTimes;
  readonly budgets: Budgets;
  readonly streams: OpenStreams;
  readonly outcomes: Outcomes;
  /** Absent: traces are off. */
  readonly tracing?: Tracing | undefined;
}

/** One client's connection: its channel, its metrics, and how long it may live. */
export class Connection {
  readonly channel: Channel;
  readonly #transport: 'websocket' | 'http-sse';
  readonly #admitted: Admitted;
  readonly #deps: ConnectionDeps;
  readonly #sink: MessageSink;
  readonly #left: () => void;
  readonly #hold: Hold;
  /** Why it ends as soon as no request waits. */
  #draining: Ending | undefined;
  #closed: Promise<void> | undefined;

  /** @param hold of the stream; released with the connection */
  constructor(
    transport: 'websocket' | 'http-sse',
    admitted: Admitted,
    hold: Hold,
    sink: MessageSink,
    deps: ConnectionDeps,
  ) {
    this.#hold = hold;
    this.#transport = transport;
    this.#admitted = admitted;
    this.#sink = sink;
    this.#deps = deps;
    const { limits } = deps.config.relay;
    const channelSink: ChannelSink = {
      send: (text) => sink.send(text),
      lost: (how) => {
        if (how === 'unreachable') deps.outcomes.reached(admitted.server, false);
        sink.end('upstream_gone');
      },
      settled: () => this.#settled(),
      report: (outcome, details) => this.#report(outcome, details),
    };
    this.channel = new Channel(admitted.upstream.legacy, channelSink, {
      limit: limits.maxServerMessage,
      userAgent: admitted.userAgent,
      caller: admitted,
      budget: deps.budgets.of(ownerKey(admitted.identity), randomUUID()),
      gate: deps.intake.gateOf(admitted, admitted.server, randomUUID),
    });
    // Nobody can ask forward-auth again about a connection that stays open, so it must come by the proxy again.
    const about = { transport, server: admitted.server, caller: admitted };
    const end = (why: StreamEnding) => (why === 'server_removed' ? this.drain(why) : sink.end(why));
    this.#left = deps.streams.open(about, end, limits.connectionLifetime);
    this.#log('a connection was opened');
  }

  /** Lets running requests end, then closes. */
  drain(why: Ending = 'draining'): void {
    this.#draining ??= why;
    this.channel.drain();
    this.#settled();
  }

  /** The client's end is closed. Resolves when the server's session has ended too. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#left();
    this.#log('a connection was closed');
    await this.channel.close();
    this.#hold.release();
  }

  #settled(): void {
    if (this.#closed !== undefined) return;
    this.#sink.settled?.();
    if (this.#draining !== undefined && this.channel.idle) this.#sink.end(this.#draining);
  }

  #report(outcome: Outcome, { refusal, error, seconds }: ReportDetails): void {
    const { metrics, log, outcomes } = this.#deps;
    const { server, way, identity } = this.#admitted;
    if (outcome === 'refused' && refusal !== undefined) metrics.rejected.inc({ reason: refusal.reason });
    if (outcomes.report({ server, way, outcome, seconds, error }) || refusal === undefined) return;
    log.info({ server, reason: refusal.reason, identity, ...causeFields(refusal) }, refusal.message);
  }

  #log(message: string): void {
    if (!this.#deps.log.isLevelEnabled('debug')) return;
    const { server, way, identity } = this.#admitted;
    this.#deps.log.debug({ server, way, identity, transport: this.#transport }, message);
  }
}

/** Lets each connection end when its requests are answered, and all after `grace` milliseconds. */
export async function drainAll(
  open: ReadonlyArray<{ readonly closed: Promise<void>; drain(): void; end(why: Ending): void }>,
  grace: number,
): Promise<void> {
  for (const connection of open) connection.drain();
  const all = Promise.all(open.map(({ closed }) => closed));
  const late = new AbortController();
  await Promise.race([all, sleep(grace, undefined, { signal: late.signal }).catch(() => {})]);
  late.abort();
  for (const connection of open) connection.end('draining');
  await all;
}
