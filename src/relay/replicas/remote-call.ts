import { randomUUID } from 'node:crypto';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { isRecord } from '../../platform/is-record.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { RefusedError, refusalOf } from '../refusal.ts';
import { failureFrom, failureJson } from './remote-failure.ts';
import type { ReplicaChannel } from './replica-channel.ts';

/** What whoever serves a call says of it before its result: it has begun, or the stream that it is stands. */
export type RemoteSign = 'under_way' | 'opened';

/** The caller's end of one call. */
export interface RemoteContext {
  /** Sends a message before the result. */
  send(message: Json): void;
  /** Says something of the call itself, which no message of a server can be taken for. */
  tell(sign: RemoteSign): void;
  /** Aborted when the caller no longer waits. */
  readonly signal: AbortSignal;
}

/** Serves a call that another replica makes. @returns undefined: what it is about is not here */
export type Serve<Request> = (request: Request, context: RemoteContext) => Promise<Json> | undefined;

/** `lost`: the replica that served the call has ended. `busy`: too many calls wait. */
export type RemoteResult =
  | { readonly kind: 'result'; readonly result: Json }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'busy' };

export interface RemoteCallOptions {
  /** For whom the call is made. */
  readonly owner: string;
  readonly signal?: AbortSignal;
  readonly onMessage?: (message: Json) => void;
  readonly onSign?: (sign: RemoteSign) => void;
}

export interface RemoteCallLimits {
  /** Calls that may wait at a time, and those of one owner among them: one that nobody serves costs every replica a look. */
  readonly max: number;
  readonly perOwner: number;
}

interface WaitingCall {
  readonly owner: string;
  readonly take: (message: Json) => void;
  readonly end: (result: RemoteResult) => void;
}

/** Milliseconds for a replica to say that it serves the call, and of its silence after that. */
const FOUND = 3_000;
const SILENCE = 20_000;
const SIGN_OF_LIFE = 5_000;

/**
 * Calls between the replicas of the relay: the one that holds what a request is about serves it, and its messages and its result go
 * back to the one that the request came to.
 */
export class RemoteCalls<Request extends object> {
  readonly #channel: ReplicaChannel;
  readonly #serve: Serve<Request>;
  readonly #limits: RemoteCallLimits;
  readonly #unsubscribe: () => void;
  readonly #waiting = new Map<string, WaitingCall>();
  readonly #served = new Map<string, AbortController>();

  constructor(channel: ReplicaChannel, serve: Serve<Request>, limits: RemoteCallLimits) {
    this.#channel = channel;
    this.#serve = serve;
    this.#limits = limits;
    this.#unsubscribe = channel.subscribe((message) => this.#receive(message));
  }

  /** @throws RefusedError if the other replicas cannot be reached; the signal's reason if that ends it; as it fails where it is served */
  async call(request: Request, { owner, signal, onMessage, onSign }: RemoteCallOptions): Promise<RemoteResult> {
    signal?.throwIfAborted();
    if (!this.#channel.connected) throw new RefusedError(refusalOf(new DependencyUnavailable('the other replicas')));
    if (this.#isFull(owner)) return { kind: 'busy' };
    const id = randomUUID();
    let late: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    try {
      return await new Promise<RemoteResult>((resolve, reject) => {
        late = setTimeout(() => resolve({ kind: 'not_found' }), FOUND);
        const take = ({ message, sign, result, failed }: Json) => {
          clearTimeout(late);
          late = setTimeout(() => resolve({ kind: 'lost' }), SILENCE);
          if (sign === 'under_way' || sign === 'opened') onSign?.(sign);
          if (isRecord(message)) onMessage?.(message);
          if (isRecord(result)) resolve({ kind: 'result', result });
          if (isRecord(failed)) reject(failureFrom(failed));
        };
        this.#waiting.set(id, { owner, take, end: resolve });
        onAbort = () => {
          this.#channel.publish({ call: 'cancel', id });
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#channel.publish({ call: 'request', id, request });
      });
    } finally {
      clearTimeout(late);
      signal?.removeEventListener('abort', onAbort);
      this.#waiting.delete(id);
    }
  }

  close(): void {
    this.#unsubscribe();
    for (const served of this.#served.values()) served.abort(new Error('the relay is shutting down'));
    for (const { end } of [...this.#waiting.values()]) end({ kind: 'lost' });
  }

  #isFull(owner: string): boolean {
    const { max, perOwner } = this.#limits;
    if (this.#waiting.size >= max) return true;
    let own = 0;
    for (const waiting of this.#waiting.values()) if (waiting.owner === owner) own += 1;
    return own >= perOwner;
  }

  #receive({ call, id, request, ...answer }: Json): void {
    if (typeof id !== 'string') return;
    if (call === 'answer') this.#waiting.get(id)?.take(answer);
    else if (call === 'cancel') this.#served.get(id)?.abort(new Error('the caller no longer waits'));
    else if (call === 'request' && isRecord(request)) void this.#run(id, request as Request);
  }

  /** Never rejects. */
  async #run(id: string, request: Request): Promise<void> {
    const answer = (content: Json) => this.#channel.publish({ call: 'answer', id, ...content });
    const cancelled = new AbortController();
    let alive: NodeJS.Timeout | undefined;
    try {
      const serving = this.#serve(request, {
        send: (message) => answer({ message }),
        tell: (sign) => answer({ sign }),
        signal: cancelled.signal,
      });
      if (serving === undefined) return;
      this.#served.set(id, cancelled);
      answer({});
      alive = setInterval(() => answer({}), SIGN_OF_LIFE);
      answer({ result: await serving });
    } catch (error) {
      answer({ failed: failureJson(error) });
    } finally {
      clearInterval(alive);
      this.#served.delete(id);
    }
  }
}
