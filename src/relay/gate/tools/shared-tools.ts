import { DependencyUnavailable } from '../../../platform/errors.ts';
import type { Logger } from '../../../platform/log.ts';
import type { Stores } from '../../../stores/stores.ts';
import type { ServerTools, ToolBook } from './tool-book.ts';

const COLLECTION = 'tools';
const TOPIC = 'tools';
/** Milliseconds that one replica may take to write. */
const LOCK = 5_000;
/** Milliseconds after which a write that could not be done is tried again. */
const RETRY = 1_000;

/** Keeps what is known of tools in the stores, so that all replicas and the next start know it. */
export class SharedTools {
  readonly #book: ToolBook;
  readonly #stores: Pick<Stores, 'documents' | 'pubSub' | 'locks'>;
  readonly #log: Logger;
  readonly #unsaved = new Set<string>();
  readonly #stop: Array<() => void>;
  #saving = false;
  #retry: NodeJS.Timeout | undefined;
  #loaded = false;

  constructor(book: ToolBook, stores: Pick<Stores, 'documents' | 'pubSub' | 'locks'>, log: Logger) {
    this.#book = book;
    this.#stores = stores;
    this.#log = log;
    const again = () => void this.load().catch(() => undefined);
    this.#stop = [stores.pubSub.subscribe(TOPIC, again), stores.pubSub.onGap(again)];
  }

  get loaded(): boolean {
    return this.#loaded;
  }

  /** @throws DependencyUnavailable where the store is away: then nobody knows what is pinned */
  async load(): Promise<void> {
    for (const { id, value } of await this.#stores.documents.list(COLLECTION))
      this.#book.merge(id, JSON.parse(value) as ServerTools);
    this.#loaded = true;
  }

  /** Soon written; tried again until it is. */
  save(server: string): void {
    this.#unsaved.add(server);
    if (this.#retry === undefined && !this.#saving) void this.#saveAll();
  }

  close(): void {
    clearTimeout(this.#retry);
    for (const stop of this.#stop) stop();
  }

  async #saveAll(): Promise<void> {
    this.#saving = true;
    try {
      for (const server of this.#unsaved) {
        await this.#saveOne(server);
        this.#unsaved.delete(server);
      }
    } catch (error) {
      if (!(error instanceof DependencyUnavailable)) this.#log.error({ error }, 'what servers list could not be kept');
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        void this.#saveAll();
      }, RETRY).unref();
    } finally {
      this.#saving = false;
    }
  }

  async #saveOne(server: string): Promise<void> {
    const { documents, pubSub, locks } = this.#stores;
    const lock = await locks.acquire(`tools:${server}`, LOCK);
    if (lock === undefined) throw new DependencyUnavailable('another replica that writes');
    try {
      const stored = await documents.get(COLLECTION, server);
      if (stored !== undefined) this.#book.merge(server, JSON.parse(stored) as ServerTools);
      const value = JSON.stringify(this.#book.snapshot(server));
      if (value === stored) return;
      await documents.put(COLLECTION, server, value);
    } finally {
      await lock.release();
    }
    await pubSub.publish(TOPIC, server);
  }
}
