import { randomUUID } from 'node:crypto';
import type { Identity } from '../../identity/identity.ts';
import type { Logger } from '../../platform/log.ts';
import type { RelayMetrics } from '../../platform/metrics.ts';
import type { RevokedCredentials } from '../../stores/revoked-credentials.ts';
import type { Suspensions } from '../../stores/suspensions.ts';
import type { Caller } from '../trust/caller.ts';

export type StreamTransport = 'streamable-http' | 'http-sse' | 'websocket';

/** Why the relay ends a stream that nothing else would end: a metric label. */
export const STREAM_ENDINGS = [
  'identity_expired',
  'identity_revoked',
  'operator',
  'draining',
  'server_removed',
  'access_removed',
] as const;
export type StreamEnding = (typeof STREAM_ENDINGS)[number];

/** A response stream or a connection that is open now. */
export interface OpenStream {
  readonly id: string;
  readonly transport: StreamTransport;
  readonly server: string;
  readonly identity: Identity;
  /** Unix time in milliseconds. */
  readonly since: number;
}

interface Entry extends OpenStream {
  readonly credential: string | undefined;
  /** No request of the client waits for its end. */
  readonly standing: boolean;
  readonly end: (why: StreamEnding) => void;
  expiry: NodeJS.Timeout | undefined;
}

export interface StreamAbout {
  readonly transport: StreamTransport;
  readonly server: string;
  readonly caller: Caller;
  /** Nobody waits for its end: it carries what a server has to say by itself, and a client resumes it elsewhere. */
  readonly standing?: boolean;
}

export interface OpenStreamsDeps {
  readonly ended: Pick<RevokedCredentials, 'has' | 'onEnd'>;
  readonly suspensions: Pick<Suspensions, 'find' | 'onSuspend'>;
  readonly metrics: Pick<RelayMetrics, 'openStreams' | 'streamsEnded'>;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/** The longest delay that a Node timer takes. */
const MAX_DELAY = 2 ** 31 - 1;

/**
 * Every stream of this process. Forward-auth judged each of them once, when it was opened: what it was opened by is watched from
 * then on, and its end is the stream's.
 */
export class OpenStreams {
  readonly #deps: OpenStreamsDeps;
  readonly #streams = new Map<string, Entry>();
  readonly #byCredential = new Map<string, Set<Entry>>();
  readonly #unsubscribe: ReadonlyArray<() => void>;
  #endsStanding = false;

  constructor(deps: OpenStreamsDeps) {
    this.#deps = deps;
    for (const reason of STREAM_ENDINGS) deps.metrics.streamsEnded.inc({ reason }, 0);
    this.#unsubscribe = [
      deps.ended.onEnd((handle) => this.#revoked(handle)),
      deps.suspensions.onSuspend(() => void this.endSuspended()),
    ];
  }

  /**
   * @param end ends it, called at most once and never before this returns
   * @param longest milliseconds that it may live in any case
   * @returns to be called when it has ended, for whatever reason
   */
  open(
    { transport, server, caller, standing = false }: StreamAbout,
    end: (why: StreamEnding) => void,
    longest = Number.POSITIVE_INFINITY,
  ): () => void {
    const { ended, suspensions, metrics, now } = this.#deps;
    const { credential, identity } = caller;
    const since = now();
    const entry: Entry = {
      ...{ id: randomUUID(), transport, server, identity, since, credential, standing, end },
      expiry: undefined,
    };
    this.#streams.set(entry.id, entry);
    metrics.openStreams.inc({ transport });
    const left = Math.min(longest, (caller.expiresAt ?? Number.POSITIVE_INFINITY) - since);
    if (left < MAX_DELAY) this.#endAfter(entry, Math.max(0, left), 'identity_expired');
    if (credential !== undefined) {
      const same = this.#byCredential.get(credential) ?? new Set();
      this.#byCredential.set(credential, same.add(entry));
      // It may have ended between the check and now.
      if (ended.has(credential)) this.#endAfter(entry, 0, 'identity_revoked');
    }
    if (standing && this.#endsStanding) this.#endAfter(entry, 0, 'draining');
    if (suspensions.find(identity) !== undefined) this.#endAfter(entry, 0, 'identity_revoked');
    return () => this.#forget(entry);
  }

  /** In the order in which they were opened. */
  list(): readonly OpenStream[] {
    return [...this.#streams.values()].map(
      ({ credential: _credential, standing: _standing, end: _end, expiry: _expiry, ...stream }) => stream,
    );
  }

  /** @returns false where there is no such stream in this process */
  end(id: string, why: StreamEnding): boolean {
    const entry = this.#streams.get(id);
    if (entry === undefined) return false;
    this.#end(entry, why);
    return true;
  }

  /** Ends those that would not end by themselves, as this process is about to; those too that come after it. */
  endStanding(): void {
    this.#endsStanding = true;
    for (const entry of [...this.#streams.values()]) if (entry.standing) this.#end(entry, 'draining');
  }

  /** Whatever they answer. @returns how many */
  endSuspended(): number {
    const { suspensions } = this.#deps;
    const suspended = [...this.#streams.values()].filter(({ identity }) => suspensions.find(identity) !== undefined);
    for (const entry of suspended) this.#end(entry, 'identity_revoked');
    return suspended.length;
  }

  /** After a reload. What answers a request goes on: it was allowed when it began. @param why undefined: it stays */
  endOutdated(why: (stream: OpenStream) => StreamEnding | undefined): void {
    for (const entry of [...this.#streams.values()]) {
      const reason = entry.standing || entry.transport !== 'streamable-http' ? why(entry) : undefined;
      if (reason !== undefined) this.#end(entry, reason);
    }
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const entry of this.#streams.values()) clearTimeout(entry.expiry);
  }

  #revoked(handle: string): void {
    for (const entry of [...(this.#byCredential.get(handle) ?? [])]) this.#end(entry, 'identity_revoked');
  }

  #endAfter(entry: Entry, delay: number, why: StreamEnding): void {
    clearTimeout(entry.expiry);
    entry.expiry = setTimeout(() => this.#end(entry, why), delay);
    entry.expiry.unref();
  }

  #end(entry: Entry, why: StreamEnding): void {
    if (!this.#forget(entry)) return;
    const { metrics, log } = this.#deps;
    const { transport, server, identity } = entry;
    metrics.streamsEnded.inc({ reason: why });
    log.info({ reason: why, transport, server, identity }, 'a stream was ended');
    entry.end(why);
  }

  #forget(entry: Entry): boolean {
    if (!this.#streams.delete(entry.id)) return false;
    clearTimeout(entry.expiry);
    this.#deps.metrics.openStreams.dec({ transport: entry.transport });
    const { credential } = entry;
    if (credential === undefined) return true;
    const same = this.#byCredential.get(credential);
    same?.delete(entry);
    if (same?.size === 0) this.#byCredential.delete(credential);
    return true;
  }
}
