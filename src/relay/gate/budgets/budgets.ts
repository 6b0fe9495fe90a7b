import type { Refusal } from '../../refusal.ts';
import { type BudgetLimits, budgetSpent, type Charge, type Measure, type Scope } from './budget-limits.ts';

/** What one identity, or one of its sessions, holds now. */
class Account {
  readonly scope: Scope;
  readonly key: string;
  readonly held: Partial<Record<Measure, number>> = {};
  /** Holds that are not released yet: without any nothing is left to remember. */
  holds = 0;

  constructor(scope: Scope, key: string) {
    this.scope = scope;
    this.key = key;
  }

  hasRoom(more: number, measure: Measure, limit = Number.POSITIVE_INFINITY): boolean {
    return (this.held[measure] ?? 0) + more <= limit;
  }
}

/** Something in memory that is somebody's, until it is released. */
export interface Hold {
  /** @returns why it cannot be more; nothing is added then */
  add(charge: Charge): Refusal | undefined;
  reduce(charge: Charge): void;
  /** Gives everything back. Harmless the second time. */
  release(): void;
}

/** The budget of one identity, or of one session within it. */
export interface Budget {
  /** @returns why it cannot be held; nothing is held then */
  take(charge: Charge): Hold | Refusal;
}

export interface BudgetsDeps {
  readonly limits: Readonly<Record<Scope, BudgetLimits>>;
  /** A budget was spent. */
  readonly onSpent: (scope: Scope, measure: Measure) => void;
}

/** What everybody holds in this process: one account for each identity and session, whichever way it comes and wherever it goes. */
export class Budgets {
  readonly #deps: BudgetsDeps;
  /** Those of the current configuration: also for what is held already. */
  limits: BudgetsDeps['limits'];
  readonly #accounts = new Map<string, Account>();
  readonly #totals: Record<Measure, number> = {
    requests: 0,
    requestBytes: 0,
    streams: 0,
    sessions: 0,
    subscriptions: 0,
    questions: 0,
    messages: 0,
    keptBytes: 0,
  };

  constructor(deps: BudgetsDeps) {
    this.#deps = deps;
    this.limits = deps.limits;
  }

  /** Of all identities together. */
  get totals(): Readonly<Record<Measure, number>> {
    return this.#totals;
  }

  /**
   * @param owner from `ownerKey(identity)`
   * @param session tells the sessions of the owner apart; absent: only the identity counts
   */
  of(owner: string, session?: string): Budget {
    return { take: (charge) => this.#take(owner, session, charge) };
  }

  #take(owner: string, session: string | undefined, charge: Charge): Hold | Refusal {
    const accounts = [this.#account('identity', owner)];
    if (session !== undefined) accounts.push(this.#account('session', JSON.stringify([owner, session])));
    const held: Partial<Record<Measure, number>> = {};
    let released = false;
    const change = (measure: Measure, by: number) => {
      held[measure] = (held[measure] ?? 0) + by;
      this.#totals[measure] += by;
      for (const account of accounts) account.held[measure] = (account.held[measure] ?? 0) + by;
    };
    const hold: Hold = {
      add: (more) => {
        if (released) return undefined;
        const refusal = this.#refusal(accounts, more);
        if (refusal === undefined) for (const [measure, by] of entries(more)) change(measure, by);
        return refusal;
      },
      reduce: (less) => {
        if (!released) for (const [measure, by] of entries(less)) change(measure, -Math.min(by, held[measure] ?? 0));
      },
      release: () => {
        if (released) return;
        for (const [measure, by] of entries(held)) change(measure, -by);
        released = true;
        for (const account of accounts) {
          account.holds -= 1;
          if (account.holds === 0) this.#accounts.delete(`${account.scope} ${account.key}`);
        }
      },
    };
    const refusal = this.#refusal(accounts, charge);
    for (const account of accounts) account.holds += 1;
    if (refusal !== undefined) {
      hold.release();
      return refusal;
    }
    hold.add(charge);
    return hold;
  }

  #refusal(accounts: readonly Account[], charge: Charge): Refusal | undefined {
    for (const account of accounts)
      for (const [measure, more] of entries(charge))
        if (!account.hasRoom(more, measure, this.limits[account.scope][measure])) {
          this.#deps.onSpent(account.scope, measure);
          return budgetSpent(account.scope, measure, this.limits[account.scope][measure] as number, more);
        }
    return undefined;
  }

  #account(scope: Scope, key: string): Account {
    const name = `${scope} ${key}`;
    const known = this.#accounts.get(name);
    if (known !== undefined) return known;
    const account = new Account(scope, key);
    this.#accounts.set(name, account);
    return account;
  }
}

function entries(charge: Charge): Array<[Measure, number]> {
  return Object.entries(charge) as Array<[Measure, number]>;
}
