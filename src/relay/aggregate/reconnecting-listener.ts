import { setTimeout as sleep } from 'node:timers/promises';
import { whenAborted, withLinkedSignal } from '../../platform/abort.ts';
import { isRecord } from '../../platform/is-record.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { CHANGING_LISTS } from '../protocol/list-changes.ts';
import type { Description, Filter } from '../upstreams/mcp-server.ts';
import { type Member, Unreached } from './member.ts';
import { withinTime } from './time-limit.ts';

/** When a server that is away is looked for again; milliseconds. */
export interface ReconnectTimes {
  readonly first: number;
  /** The time is doubled up to this. */
  readonly longest: number;
}

export interface ReconnectEvents {
  /** A server sends something unasked. */
  onMessage(server: string, message: Json): void;
  /** Told before `listChanged`, which has the client ask. */
  isBack(server: string): void;
  /** A server is there again: what it offers may differ from what the client has seen. */
  listChanged(method: string): void;
}

/** Listens to one server for as long as a client listens, and looks for it again while it is away. */
export class ReconnectingListener {
  readonly #member: Member;
  readonly #events: ReconnectEvents;
  readonly #timeout: number;
  readonly #times: ReconnectTimes;
  /** Ends the wait for the next event of a server that is thought to be there. */
  #interrupt: AbortController | undefined;

  /** @param timeout milliseconds for the server to show that it is there */
  constructor(member: Member, events: ReconnectEvents, timeout: number, times: ReconnectTimes) {
    this.#member = member;
    this.#events = events;
    this.#timeout = timeout;
    this.#times = times;
  }

  /** A list came without this server. */
  missed(): void {
    this.#interrupt?.abort();
  }

  /** Ends with the signal, and not before. */
  async run(filter: Filter | undefined, signal: AbortSignal): Promise<void> {
    let wasAway = false;
    while (!signal.aborted) {
      const description = await this.#find(signal, wasAway);
      if (description === undefined) return;
      await this.#listen(filter, signal);
      wasAway = true;
    }
  }

  /** @returns undefined where the signal ended it */
  async #find(signal: AbortSignal, away: boolean): Promise<Description | undefined> {
    let wasAway = away;
    let delay = this.#times.first;
    while (!signal.aborted) {
      if (wasAway) await sleep(delay, undefined, { signal }).catch(() => {});
      const description = await this.#ask(signal);
      if (description !== undefined) {
        if (wasAway) {
          this.#events.isBack(this.#member.server);
          this.#announce(description);
        }
        return description;
      }
      if (wasAway) delay = Math.min(delay * 2, this.#times.longest);
      wasAway = true;
    }
    return undefined;
  }

  async #ask(signal: AbortSignal): Promise<Description | undefined> {
    try {
      return await withinTime(this.#timeout, signal, async (limited) => {
        await this.#member.ping(limited);
        return this.#member.describe(limited);
      });
    } catch (error) {
      if (signal.aborted || error instanceof Unreached || error instanceof ServerError) return undefined;
      throw error;
    }
  }

  /** Returns when the server is thought to be away, or the signal ends it. */
  async #listen(filter: Filter | undefined, signal: AbortSignal): Promise<void> {
    const interrupt = new AbortController();
    this.#interrupt = interrupt;
    const { server } = this.#member;
    await withLinkedSignal([signal, interrupt.signal], async (until) => {
      const how = await this.#member.listen(filter, {
        signal: until,
        onMessage: (message) => this.#events.onMessage(server, message),
      });
      // A server that never says anything unasked is only known to be away when a list misses it.
      if (how === 'not_offered') await whenAborted(until);
    });
    this.#interrupt = undefined;
  }

  #announce({ capabilities }: Description): void {
    for (const name of CHANGING_LISTS)
      if (isRecord(capabilities[name])) this.#events.listChanged(`notifications/${name}/list_changed`);
  }
}
