import type { Subscription } from './subscription.ts';

/** Which users listen now: a server that is missed in a list of theirs is looked for on their streams. */
export class Subscribers {
  readonly #byOwner = new Map<string, Set<Subscription>>();

  missed(owner: string, server: string): void {
    for (const listening of this.#byOwner.get(owner) ?? []) listening.missed(server);
  }

  async during(owner: string, listening: Subscription, run: () => Promise<void>): Promise<void> {
    const all = this.#byOwner.get(owner) ?? new Set();
    this.#byOwner.set(owner, all.add(listening));
    try {
      await run();
    } finally {
      all.delete(listening);
      if (all.size === 0) this.#byOwner.delete(owner);
    }
  }
}
