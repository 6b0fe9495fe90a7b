import type { AllOutgoing } from './open-outgoing.ts';

/** What all servers share of credentials: it ends with the last server that was opened with it. */
export class SharedOutgoing {
  readonly #outgoing: AllOutgoing;
  #users = 0;

  constructor(outgoing: AllOutgoing) {
    this.#outgoing = outgoing;
  }

  get keys(): AllOutgoing['keys'] {
    return this.#outgoing.keys;
  }

  get accounts(): AllOutgoing['accounts'] {
    return this.#outgoing.accounts;
  }

  of(server: string): ReturnType<AllOutgoing['of']> {
    return this.#outgoing.of(server);
  }

  /** @returns gives it back; harmless the second time */
  retain(): () => Promise<void> {
    this.#users += 1;
    let held = true;
    return async () => {
      if (!held) return;
      held = false;
      this.#users -= 1;
      if (this.#users === 0) await this.#outgoing.close();
    };
  }
}
