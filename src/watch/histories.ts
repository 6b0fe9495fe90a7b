import { z } from 'zod';
import { BoundedCache } from '../platform/bounded-cache.ts';
import { DependencyUnavailable } from '../platform/errors.ts';
import { merged, type NetworkHistory } from './network-history.ts';
import type { SharedWatch } from './shared-watch.ts';

export interface HistoriesOptions {
  /** Where all processes share them; undefined: this process alone knows them. */
  readonly shared: Pick<SharedWatch, 'documents' | 'sealing' | 'alias'> | undefined;
  /** Users remembered in this process. */
  readonly max: number;
  /** Milliseconds after which a user who was not seen is forgotten. */
  readonly forget: number;
  /** Milliseconds after which what is shared is read and written again, although nothing is new. */
  readonly refresh: number;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

interface Kept {
  readonly history: NetworkHistory;
  /** When it was last read from where it is shared, in Unix milliseconds. */
  readonly sharedAt: number;
}

const COLLECTION = 'watch-networks';
/** Milliseconds for which a store that failed is not asked again. */
const PAUSE = 5_000;

const historySchema = z.object({
  since: z.number(),
  networks: z.record(z.string(), z.object({ first: z.number(), last: z.number() })),
});

/** The networks of users: in this process, and where there is Redis for all of them. */
export class Histories {
  readonly #options: HistoriesOptions;
  readonly #kept: BoundedCache<string, Kept>;
  #pausedUntil = 0;

  constructor(options: HistoriesOptions) {
    this.#options = options;
    this.#kept = new BoundedCache({ max: options.max });
  }

  /** What this process knows, as it is. */
  known(person: string): NetworkHistory | undefined {
    return this.#kept.get(person)?.history;
  }

  /**
   * @param fresh whether what others may have learnt a moment ago counts
   * @throws DependencyUnavailable where the store is away: then nobody can say what is new
   */
  async read(person: string, fresh: boolean): Promise<NetworkHistory | undefined> {
    const { shared, refresh, now } = this.#options;
    const kept = this.#kept.get(person);
    if (shared === undefined || (kept !== undefined && !fresh && now() - kept.sharedAt < refresh)) return kept?.history;
    const id = shared.alias(person);
    const text = await this.#asked(() => shared.documents.get(COLLECTION, id));
    const known = parse(text && shared.sealing.open(purposeOf(id), text)?.toString());
    if (known === undefined) return kept?.history;
    const history = kept === undefined ? known : merged(kept.history, known);
    this.#kept.set(person, { history, sharedAt: kept?.sharedAt ?? 0 });
    return history;
  }

  /**
   * @param news others should know it now
   * @throws DependencyUnavailable
   */
  async write(person: string, history: NetworkHistory, news: boolean): Promise<void> {
    const { shared, refresh, forget, now } = this.#options;
    const sharedAt = this.#kept.get(person)?.sharedAt ?? 0;
    this.#kept.set(person, { history, sharedAt });
    if (shared === undefined || (!news && now() - sharedAt < refresh)) return;
    const id = shared.alias(person);
    const sealed = shared.sealing.seal(purposeOf(id), JSON.stringify(history));
    await this.#asked(() => shared.documents.put(COLLECTION, id, sealed, now() + forget));
    this.#kept.set(person, { history, sharedAt: now() });
  }

  /** A store that does not answer would hold up everything that waits behind. */
  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    const { now } = this.#options;
    if (now() < this.#pausedUntil) throw new DependencyUnavailable('the store', new Error('it failed a moment ago'));
    try {
      return await ask();
    } catch (error) {
      this.#pausedUntil = now() + PAUSE;
      throw error;
    }
  }
}

/** Nobody who writes to the store can give one user the history of another. */
function purposeOf(id: string): string {
  return `networks ${id}`;
}

/** What cannot be read is as good as nothing: the user is learnt again. */
function parse(text: string | undefined): NetworkHistory | undefined {
  if (text === undefined) return undefined;
  try {
    return historySchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
