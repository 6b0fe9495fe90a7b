import { BoundedCache } from '../../platform/bounded-cache.ts';
import { isRecord } from '../../platform/is-record.ts';
import { writeJson } from '../protocol/json.ts';
import { idKey, type Json } from '../protocol/json-rpc.ts';
import type { ReplicaChannel } from '../replicas/replica-channel.ts';
import type { CallLimit } from './call-limits.ts';

/** Calls that are remembered, and milliseconds for which a server may come back to one. */
const MAX = 10_000;
const LONGEST = 24 * 60 * 60_000;

/** Whose call it is, and where. */
export interface CallPlace {
  readonly owner: string;
  readonly server: string;
  /** The server's session; undefined: none. */
  readonly session: string | undefined;
}

export interface OpenCall {
  /** Undefined: it has none. */
  readonly limit: CallLimit | undefined;
  /** Milliseconds, as the clock counts them. */
  readonly since: number;
}

/**
 * Requests to servers with limits that have not been answered on their own stream: the answer may come where the client resumes it
 * (basic/transports, resumability), or as the result of a task, at this replica or at another.
 */
export class OpenCalls {
  readonly #calls = new BoundedCache<string, OpenCall>({ max: MAX, ttl: LONGEST });
  readonly #channel: ReplicaChannel | undefined;

  /** @param channel with the other replicas; undefined: there is one only */
  constructor(channel: ReplicaChannel | undefined) {
    this.#channel = channel;
    channel?.subscribe((told) => this.#learn(told));
  }

  /**
   * @param strictest of all calls there: an id that is in use already names several calls from now on, and the client must not
   * choose whose limit holds for an answer
   */
  begin(place: CallPlace, id: unknown, limit: CallLimit | undefined, strictest: CallLimit | undefined): OpenCall {
    const call = { limit, since: performance.now() };
    const key = keyOf(place, id);
    const open = this.#calls.get(key);
    this.#calls.set(key, open === undefined ? call : { limit: strictest, since: open.since });
    return call;
  }

  /** The call goes on as a task. */
  becomes({ owner, server }: CallPlace, call: OpenCall, task: string): void {
    const key = taskKey(owner, server, task);
    this.#calls.set(key, call);
    this.#tell(key, call);
  }

  /** Its own stream is over: where no answer has come by then, it may come at any replica. */
  left(place: CallPlace, id: unknown): void {
    const key = keyOf(place, id);
    const call = this.#calls.get(key);
    if (call !== undefined) this.#tell(key, call);
  }

  answered(place: CallPlace, id: unknown): void {
    this.#calls.delete(keyOf(place, id));
  }

  /** @returns undefined: not known in this process */
  find(place: CallPlace, id: unknown): OpenCall | undefined {
    return this.#calls.get(keyOf(place, id));
  }

  #tell(key: string, { limit, since }: OpenCall): void {
    this.#channel?.publish({ key, limit: limit ?? null, taken: Math.round(performance.now() - since) });
  }

  #learn({ key, limit, taken }: Json): void {
    if (typeof key !== 'string' || typeof taken !== 'number') return;
    const { result, duration } = isRecord(limit) ? limit : {};
    const known = { arguments: undefined, result: bound(result), duration: bound(duration) };
    this.#calls.set(key, { limit: isRecord(limit) ? known : undefined, since: performance.now() - taken });
  }

  task({ owner, server }: CallPlace, task: string): OpenCall | undefined {
    return this.#calls.get(taskKey(owner, server, task));
  }
}

function bound(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function keyOf({ owner, server, session }: CallPlace, id: unknown): string {
  return writeJson(['request', server, owner, session ?? null, idKey(id)]);
}

function taskKey(owner: string, server: string, task: string): string {
  return JSON.stringify(['task', server, owner, task]);
}
