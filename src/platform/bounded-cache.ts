import { LRUCache } from 'lru-cache';

/** As of `lru-cache`; `max` entries at most. */
export type BoundedCacheOptions<K extends {}, V extends {}> = Partial<
  Pick<
    LRUCache.OptionsBase<K, V, unknown>,
    'ttl' | 'ttlResolution' | 'perf' | 'dispose' | 'noDisposeOnSet' | 'maxSize' | 'sizeCalculation'
  >
> & { readonly max: number };

/**
 * Forgets what was used longest ago once there are `max` entries, and takes memory for those that are there: `lru-cache`
 * itself takes that of all at its making, which is a megabyte and milliseconds for ten thousands.
 */
export class BoundedCache<K extends {}, V extends {}> extends LRUCache<K, V> {
  readonly #most: number;

  /** @throws TypeError where `max` is not above 0 */
  constructor({ max, ...options }: BoundedCacheOptions<K, V>) {
    super({ maxSize: max, sizeCalculation: one, ...options });
    this.#most = max;
  }

  override set(key: K, value: V | undefined, options?: LRUCache.SetOptions<K, V, unknown>): this {
    super.set(key, value, options);
    if (this.size > this.#most) this.pop();
    return this;
  }
}

const one = () => 1;
