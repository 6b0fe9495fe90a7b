import { isCalled, personIn, type UserFields } from '../../identity/user.ts';
import { BoundedCache } from '../bounded-cache.ts';

/** A denial as a line of the audit log has it. */
export type DenialLine = { readonly time: string } & { readonly [field in keyof UserFields]?: string | undefined } & {
  readonly [field in (typeof SAME)[number]]?: string | undefined;
};

/** How often it happened, the last time at `time`. */
export type CountedDenial<Line extends DenialLine = DenialLine> = Line & { readonly count: number };

export interface WantedDenials {
  readonly server?: string | undefined;
  /** Whole: `<issuer>#<subject>`, subject or one of the names. */
  readonly user?: string | undefined;
  /** Of known users, and as many of everybody else. */
  readonly limit: number;
}

/** In what repetitions are alike. */
const SAME = ['server', 'action', 'object', 'reason', 'rule'] as const;

/**
 * Keeps the last denials of this process. A client that tries the same again takes one place, and strangers take none of those of
 * known users.
 */
export class RecentDenials<Line extends DenialLine = DenialLine> {
  /** Whose denials these are. */
  readonly replica: string;
  readonly #known: BoundedCache<string, CountedDenial<Line>>;
  readonly #strangers: BoundedCache<string, CountedDenial<Line>>;

  /** @param max denials of known users, and as many of strangers; the oldest goes first */
  constructor(max: number, replica: string) {
    this.replica = replica;
    this.#known = new BoundedCache({ max });
    this.#strangers = new BoundedCache({ max });
  }

  put(line: Line): void {
    const kept = line.user ? this.#known : this.#strangers;
    const key = JSON.stringify([line.user, ...SAME.map((field) => line[field])]);
    kept.set(key, { ...line, count: (kept.peek(key)?.count ?? 0) + 1 });
  }

  /** Newest first. */
  list({ server, user, limit }: WantedDenials): CountedDenial<Line>[] {
    const fits = (line: CountedDenial<Line>) =>
      (server ?? line.server) === line.server && (user === undefined || isCalled(personIn(line), user));
    return [this.#known, this.#strangers]
      .flatMap((kept) => [...kept.values()].filter(fits).slice(0, limit))
      .sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
  }
}
