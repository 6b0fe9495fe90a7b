import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { JWK } from 'jose';
import type { Logger } from '../../../platform/log.ts';
import type { Sealing } from '../../../platform/sealing/sealing.ts';
import { importVerificationKey, keyFits, type VerificationKey } from '../../../platform/verification-key.ts';
import type { Stores } from '../../../stores/stores.ts';

const COLLECTION = 'oauth-keys';
const ID = 'set';
const PURPOSE = 'oauth keys 1';
const TOPIC = 'oauth-keys';
/** Milliseconds. */
const LOCK_LIFETIME = 10_000;
/** Milliseconds between two looks at the store, beside announcements. */
const LOOK = 60_000;
/** Milliseconds between two looks because of a key id that nobody knows. */
const EAGER = 1_000;
/** Milliseconds for which somebody may hold an old copy of the published keys. */
const PUBLISHED_COPY = 24 * 60 * 60_000;

/** A private key and when it begins to sign and is forgotten, Unix times in milliseconds. */
interface StoredKey {
  readonly jwk: JWK;
  readonly from: number;
  readonly until: number;
}

export interface TokenKeysDependencies {
  readonly stores: Pick<Stores, 'documents' | 'locks' | 'pubSub'>;
  readonly sealing: Sealing;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** Milliseconds that one key signs. */
  readonly rotate: number;
  /** Milliseconds that a token lives. */
  readonly lifetime: number;
}

/**
 * The keys that sign access tokens, in the store and so the same for every replica and after a restart. The next one is
 * published a whole period before it signs; an old one stays until nothing that it signed is left.
 */
export class TokenKeys {
  readonly #deps: TokenKeysDependencies;
  /** Changes with {@link signing}. */
  version = 0;
  #looking: Promise<void> | undefined;
  #stored: readonly StoredKey[] = [];
  #verifying: readonly VerificationKey[] = [];
  #looked = 0;
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;

  constructor(deps: TokenKeysDependencies) {
    this.#deps = deps;
    this.#unsubscribe = deps.stores.pubSub.subscribe(TOPIC, () => void this.#lookQuietly());
    this.#timer = setInterval(() => void this.#lookQuietly(), LOOK);
    this.#timer.unref();
  }

  get loaded(): boolean {
    return this.#stored.length > 0;
  }

  /** @throws DependencyUnavailable where there are none yet and the store is away */
  async ready(): Promise<void> {
    if (!this.loaded) await this.#once();
    else if (this.#isDue(this.#stored) && this.#mayLook()) await this.#lookQuietly();
  }

  /** Private keys, the one that signs first. */
  signing(): JWK[] {
    const now = this.#deps.now();
    const current = this.#stored.findLast(({ from }) => from <= now) ?? this.#stored[0];
    return [...new Set([current, ...this.#stored])].flatMap((key) => (key === undefined ? [] : [key.jwk]));
  }

  /** Public keys that may have signed a token with this header. */
  find(kid: string | undefined, alg: string): VerificationKey['key'][] {
    return this.#verifying.filter((key) => key.kid === kid && keyFits(key.key, alg)).map(({ key }) => key);
  }

  /** Another replica may have made a key that this one has not heard of. */
  async search(kid: string | undefined, alg: string): Promise<VerificationKey['key'][]> {
    if (this.#mayLook()) await this.#once();
    return this.find(kid, alg);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unsubscribe();
  }

  async #lookQuietly(): Promise<void> {
    await this.#once().catch((error: unknown) =>
      this.#deps.log.warn({ error }, 'keys of access tokens cannot be read; the known ones stay'),
    );
  }

  #mayLook(): boolean {
    return this.#deps.now() - this.#looked >= EAGER;
  }

  #once(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { locks } = this.#deps.stores;
    this.#looked = this.#deps.now();
    const found = await this.#read();
    if (found !== undefined && !this.#isDue(found)) return this.#take(found);
    const lock = await locks.acquire(TOPIC, LOCK_LIFETIME);
    // Somebody else makes them right now; those that are there are good for a while.
    if (lock === undefined) return found === undefined ? this.#wait() : this.#take(found);
    try {
      const latest = await this.#read();
      this.#take(latest !== undefined && !this.#isDue(latest) ? latest : await this.#renew(latest ?? []));
    } finally {
      await lock.release();
    }
  }

  async #wait(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 100));
    await this.#look();
  }

  async #read(): Promise<readonly StoredKey[] | undefined> {
    const { stores, sealing, log } = this.#deps;
    const value = await stores.documents.get(COLLECTION, ID);
    if (value === undefined) return undefined;
    const text = sealing.open(PURPOSE, value);
    if (text === undefined) {
      log.warn('the keys of access tokens cannot be opened and are made anew: were auth.sessions.keys changed?');
      return undefined;
    }
    return JSON.parse(text.toString('utf8')) as StoredKey[];
  }

  /** There must always be one that does not sign yet. */
  #isDue(keys: readonly StoredKey[]): boolean {
    return keys.every(({ from }) => from <= this.#deps.now());
  }

  async #renew(before: readonly StoredKey[]): Promise<readonly StoredKey[]> {
    const { stores, sealing, now, rotate, lifetime, log } = this.#deps;
    const keep = rotate + lifetime + PUBLISHED_COPY;
    const make = (from: number): StoredKey => ({ jwk: generateKey(), from, until: from + keep });
    const kept = before.filter(({ until }) => until > now());
    const keys = [...kept, ...(kept.length === 0 ? [make(now())] : []), make(now() + rotate)];
    await stores.documents.put(COLLECTION, ID, sealing.seal(PURPOSE, JSON.stringify(keys)));
    await stores.pubSub.publish(TOPIC, '');
    log.info({ count: keys.length }, 'keys of access tokens renewed');
    return keys;
  }

  #take(keys: readonly StoredKey[]): void {
    const before = JSON.stringify(this.#stored.map(({ jwk }) => jwk.kid));
    this.#stored = keys;
    if (before === JSON.stringify(keys.map(({ jwk }) => jwk.kid))) return;
    this.#verifying = keys.map(({ jwk }) => importVerificationKey(publicPart(jwk))).filter((key) => key !== undefined);
    this.version += 1;
  }
}

function publicPart({ d: _private, ...rest }: JWK): JWK {
  return rest;
}

function generateKey(): JWK {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), kid: randomUUID(), alg: 'ES256', use: 'sig' };
}
