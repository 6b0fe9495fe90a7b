import type { Refusal } from '../../refusal.ts';
import { type BudgetLimits, budgetSpent, type Charge, type Measure, type Scope } from './budget-limits.ts';

/** Accounts in which nothing is held are forgotten where there are more than so many. */
const SWEPT = 1_000;

/** What one identity, or one of its sessions, holds now. */
class Account {
  readonly scope: Scope;
  readonly held: Partial<Record<Measure, number>> = {};
  /** Holds that are not released yet: without any nothing has to be remembered. */
  holds = 0;

  constructor(scope: Scope) {
    this.scope = scope;
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
  #sweepAt = SWEPT;
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
    // Before any is taken, which has no hold yet.
    if (this.#accounts.size >= this.#sweepAt) this.#sweep();
    const accounts = [this.#account('identity', owner)];
    if (session !== undefined) accounts.push(this.#account('session', JSON.stringify([owner, session])));
    const refusal = this.#refusal(accounts, charge);
    if (refusal !== undefined) return refusal;
    const hold = new AccountsHold(accounts, this.#totals, (more) => this.#refusal(accounts, more));
    hold.take(charge);
    return hold;
  }

  #refusal(accounts: readonly Account[], charge: Charge): Refusal | undefined {
    for (const account of accounts)
      for (const name in charge) {
        const measure = name as Measure;
        const more = charge[measure] ?? 0;
        if (account.hasRoom(more, measure, this.limits[account.scope][measure])) continue;
        this.#deps.onSpent(account.scope, measure);
        return budgetSpent(account.scope, measure, this.limits[account.scope][measure] as number, more);
      }
    return undefined;
  }

  /** Those without holds stay until there are many: who asks once asks again, and a table that is written all the time costs memory. */
  #sweep(): void {
    for (const [name, account] of this.#accounts) if (account.holds === 0) this.#accounts.delete(name);
    this.#sweepAt = Math.max(SWEPT, 2 * this.#accounts.size);
  }

  #account(scope: Scope, key: string): Account {
    const name = `${scope} ${key}`;
    const known = this.#accounts.get(name);
    if (known !== undefined) return known;
    const account = new Account(scope);
    this.#accounts.set(name, account);
    return account;
  }
}

/** What one request holds in all accounts that it counts in. */
class AccountsHold implements Hold {
  readonly #accounts: readonly Account[];
  readonly #totals: Record<Measure, number>;
  readonly #refusal: (more: Charge) => Refusal | undefined;
  readonly #held: Partial<Record<Measure, number>> = {};
  #released = false;

  constructor(
    accounts: readonly Account[],
    totals: Record<Measure, number>,
    refusal: (more: Charge) => Refusal | undefined,
  ) {
    this.#accounts = accounts;
    this.#totals = totals;
    this.#refusal = refusal;
    for (const account of accounts) account.holds += 1;
  }

  add(more: Charge): Refusal | undefined {
    if (this.#released) return undefined;
    const refusal = this.#refusal(more);
    if (refusal === undefined) this.take(more);
    return refusal;
  }

  take(more: Charge): void {
    for (const measure in more) this.#change(measure as Measure, more[measure as Measure] ?? 0);
  }

  reduce(less: Charge): void {
    if (this.#released) return;
    for (const name in less) {
      const measure = name as Measure;
      this.#change(measure, -Math.min(less[measure] ?? 0, this.#held[measure] ?? 0));
    }
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const measure in this.#held) this.#change(measure as Measure, -(this.#held[measure as Measure] ?? 0));
    for (const account of this.#accounts) account.holds -= 1;
  }

  #change(measure: Measure, by: number): void {
    this.#held[measure] = (this.#held[measure] ?? 0) + by;
    this.#totals[measure] += by;
    for (const { held } of this.#accounts) held[measure] = (held[measure] ?? 0) + by;
  }
}
