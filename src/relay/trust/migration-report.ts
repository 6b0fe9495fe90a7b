import type { Identity } from '../../identity/identity.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import { personOf } from './migration-methods.ts';
import type { AuthenticationSource } from './trust.ts';

/** `both`: the proxy's word and a JWT that names the same person. */
export type ReportedSource = Exclude<AuthenticationSource, 'anonymous'>;

interface Use {
  requests: number;
  /** Unix time in milliseconds. */
  lastSeen: number;
}

type Uses = Partial<Record<ReportedSource, Use>>;

/** One user's line; times as ISO 8601. */
export interface ReportedUser {
  readonly user: string;
  readonly ways: Partial<Record<ReportedSource, { readonly requests: number; readonly lastSeen: string }>>;
}

export interface Report {
  /** When this replica began to count. */
  readonly since: string;
  /** Users who came longest ago and were forgotten, because there are too many. */
  readonly forgotten: number;
  readonly users: readonly ReportedUser[];
}

/** Who came by which way, for as long as this replica runs. In memory: a metric has the sum, this has the names. */
export class MigrationReport {
  readonly #uses: BoundedCache<string, Uses>;
  readonly #now: () => number;
  readonly #since: number;
  #forgotten = 0;

  /**
   * @param max users remembered
   * @param now milliseconds
   */
  constructor(max: number, now: () => number) {
    this.#now = now;
    this.#since = now();
    this.#uses = new BoundedCache({
      max,
      dispose: (_uses, _user, reason) => {
        if (reason === 'evict') this.#forgotten += 1;
      },
    });
  }

  note(identity: Identity, way: ReportedSource): void {
    const person = personOf(identity);
    let uses = this.#uses.get(person);
    if (uses === undefined) {
      uses = {};
      this.#uses.set(person, uses);
    }
    const use = uses[way];
    if (use === undefined) uses[way] = { requests: 1, lastSeen: this.#now() };
    else {
      use.requests += 1;
      use.lastSeen = this.#now();
    }
  }

  /** @param way only who came that way, last first; absent: everybody, last first */
  read(way?: ReportedSource): Report {
    const last = (uses: Uses) =>
      way === undefined ? Math.max(...Object.values(uses).map((use) => use.lastSeen)) : (uses[way]?.lastSeen ?? 0);
    const users = [...this.#uses.entries()]
      .filter(([, uses]) => way === undefined || uses[way] !== undefined)
      .sort(([, a], [, b]) => last(b) - last(a))
      .map(([user, uses]) => ({ user, ways: shown(uses) }));
    return { since: new Date(this.#since).toISOString(), forgotten: this.#forgotten, users };
  }
}

function shown(uses: Uses): ReportedUser['ways'] {
  return Object.fromEntries(
    Object.entries(uses).map(([way, { requests, lastSeen }]) => [
      way,
      { requests, lastSeen: new Date(lastSeen).toISOString() },
    ]),
  );
}
