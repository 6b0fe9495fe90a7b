import { OverloadQueue, type Queue } from '../../platform/overload-queue.ts';

/** One queue for each kind of work for strangers: a provider or store that is slow holds up no other kind. */
export interface Queues {
  /** Signatures. */
  readonly tokens: Queue;
  /** Sessions and API keys that are not remembered. */
  readonly store: Queue;
  readonly introspection: Queue;
}

export interface OpenedQueues extends Queues {
  /** Work that waits in all of them. */
  readonly length: number;
  close(): void;
}

/** Questions to the store at the same time: far more than it takes to keep it busy, few enough that the answers do not come all at once. */
const MAX_LOOKUPS = 100;

/** @param timeout milliseconds */
export function openQueues(timeout: number): OpenedQueues {
  const tokens = new OverloadQueue({ timeout });
  const store = new OverloadQueue({ timeout, maxRunning: MAX_LOOKUPS });
  const introspection = new OverloadQueue({ timeout });
  const all = [tokens, store, introspection];
  return {
    tokens,
    store,
    introspection,
    get length() {
      return all.reduce((sum, { length }) => sum + length, 0);
    },
    close: () => {
      for (const queue of all) queue.close();
    },
  };
}
