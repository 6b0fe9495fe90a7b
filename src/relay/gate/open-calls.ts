import { LRUCache } from 'lru-cache';
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
 * (basic/transports, resumability), or as the result of a task.
 */
export class OpenCalls {
  readonly #calls = new LRUCache<string, OpenCall>({ max: MAX, ttl: LONGEST });

  begin(place: CallPlace, id: unknown, limit: CallLimit | undefined): OpenCall {
    const call = { limit, since: performance.now() };
    this.#calls.set(keyOf(place, id), call);
    return call;
  }

  /** The call goes on as a task. */
  becomes({ owner, server }: CallPlace, call: OpenCall, task: string): void {
    this.#calls.set(taskKey(owner, server, task), call);
  }

  answered(place: CallPlace, id: unknown): void {
    this.#calls.delete(keyOf(place, id));
  }

  /** @returns undefined: not known in this process */
  find(place: CallPlace, id: unknown): OpenCall | undefined {
    return this.#calls.get(keyOf(place, id));
  }

  task({ owner, server }: CallPlace, task: string): OpenCall | undefined {
    return this.#calls.get(taskKey(owner, server, task));
  }
}

function keyOf({ owner, server, session }: CallPlace, id: unknown): string {
  return JSON.stringify(['request', server, owner, session ?? null, id]);
}

function taskKey(owner: string, server: string, task: string): string {
  return JSON.stringify(['task', server, owner, task]);
}
