import { timingSafeEqual } from 'node:crypto';
import { type Credential, credentialHandle } from '../../identity/credential.ts';
import type { Identity } from '../../identity/identity.ts';
import type { Person } from '../../identity/user.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import { PosternError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { NO_QUEUE, type Queue } from '../../platform/overload-queue.ts';
import type { RevokedCredentials } from '../../stores/revoked-credentials.ts';
import type { Stores } from '../../stores/stores.ts';
import { type ApiKeyListing, type ApiKeyRecord, apiKeyRecordSchema, newApiKeySchema } from './api-key-record.ts';
import { API_KEY_PREFIX, type ApiKeyParts, formatApiKey, hashSecret, newApiKey } from './key-format.ts';
import { type RevokedKey, RevokedKeys } from './revoked-keys.ts';

const COLLECTION = 'api-keys';
const TOPIC = 'api-key';
/** Keys remembered; the least recently used one goes first. */
const MAX_KNOWN = 10_000;
/** Compared where there is no such key, so that nothing is done sooner. */
const NO_HASH = Buffer.alloc(32);

export interface ApiKeysDependencies {
  readonly stores: Pick<Stores, 'documents' | 'pubSub'>;
  /** Told of each key that is revoked. */
  readonly ended: Pick<RevokedCredentials, 'end'>;
  readonly log: Logger;
  /** Milliseconds. */
  readonly now: () => number;
  /** Milliseconds for which a key is believed without asking the store. */
  readonly cacheTtl: number;
  /** Takes the look-ups of keys that are not remembered; absent: nothing is refused. */
  readonly queue?: Queue;
  /** Issuer of the identities. */
  readonly issuer: string;
  /** Names of the configured MCP servers. */
  readonly servers: readonly string[];
}

/** A key that may be used now. */
export interface GoodApiKey {
  readonly id: string;
  readonly credential: Credential;
  readonly identity: Identity;
  readonly servers: readonly string[] | undefined;
}

interface Known extends GoodApiKey {
  readonly hash: Buffer;
  readonly expiresAt: number;
  readonly until: number;
}

/** API keys: made and revoked by operators, kept as hashes, remembered only while every revocation is surely heard. */
export class ApiKeys {
  readonly #dependencies: ApiKeysDependencies;
  readonly #known = new BoundedCache<string, Known>({ max: MAX_KNOWN });
  /** Keys that were good lately, also where nothing about them may be believed now. */
  readonly #familiar = new BoundedCache<string, true>({ max: MAX_KNOWN });
  readonly #subscriptions: ReadonlyArray<() => void>;
  readonly #ended: RevokedKeys;
  /** Counts what was heard: a record read before a revocation must not be remembered after it. */
  #heard = 0;

  constructor(dependencies: ApiKeysDependencies) {
    this.#dependencies = dependencies;
    this.#ended = new RevokedKeys(dependencies.stores.documents, dependencies.now);
    const { pubSub } = dependencies.stores;
    this.#subscriptions = [pubSub.subscribe(TOPIC, (id) => this.#forget(id)), pubSub.onGap(() => this.#forget())];
  }

  close(): void {
    for (const end of this.#subscriptions) end();
  }

  /**
   * @returns undefined for a key that is unknown, wrong, revoked or over: which of them is not said
   * @throws DependencyUnavailable where the store is needed and away
   */
  verify({ id, secret }: ApiKeyParts): GoodApiKey | undefined | Promise<GoodApiKey | undefined> {
    const hash = hashSecret(secret);
    const known = this.#dependencies.stores.pubSub.complete ? this.#known.get(id) : undefined;
    if (known !== undefined && this.#dependencies.now() < known.until) return this.#judge(known, hash);
    const { queue = NO_QUEUE } = this.#dependencies;
    // With its secret: of a key that leaked once, many may know the id.
    const familiar = `${id} ${hash.toString('base64url')}`;
    const loading = this.#familiar.has(familiar) ? this.#load(id) : queue.run(() => this.#load(id));
    return Promise.resolve(loading).then((loaded) => {
      const good = this.#judge(loaded, hash);
      if (good === undefined) this.#familiar.delete(familiar);
      else this.#familiar.set(familiar, true);
      return good;
    });
  }

  #judge(key: Known | undefined, hash: Buffer): GoodApiKey | undefined {
    const right = timingSafeEqual(hash, key?.hash ?? NO_HASH);
    return right && key !== undefined && this.#dependencies.now() < key.expiresAt ? key : undefined;
  }

  async #load(id: string): Promise<Known | undefined> {
    const { stores, cacheTtl, now } = this.#dependencies;
    const heard = this.#heard;
    const before = this.#known.get(id);
    const text = await stores.documents.get(COLLECTION, id);
    const record = text === undefined ? undefined : this.#parse(id, text);
    if (record === undefined) {
      this.#known.delete(id);
      return undefined;
    }
    const { subject, name, groups, scopes } = record;
    const identity: Identity = {
      subject,
      email: '',
      name,
      groups,
      scopes,
      method: 'api-key',
      issuer: this.#dependencies.issuer,
    };
    const hash = Buffer.from(record.secretHash, 'base64url');
    // A record never changes: the same object keeps what was signed for it.
    const same = before?.hash.equals(hash) === true;
    const loaded: Known = {
      id,
      credential: credentialOf(record),
      identity: same ? before.identity : identity,
      servers: record.servers,
      hash,
      expiresAt: record.expiresAt ?? Number.POSITIVE_INFINITY,
      until: now() + cacheTtl,
    };
    if (stores.pubSub.complete && heard === this.#heard) this.#known.set(id, loaded);
    return loaded;
  }

  /**
   * @returns what is listed, and the key itself, which is never to be seen again
   * @throws PosternError 400 where the description of the key is wrong
   */
  async create(input: unknown): Promise<{ listing: ApiKeyListing; key: string }> {
    const parsed = newApiKeySchema.safeParse(input);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw wrong(`${issue?.path.join('.') || 'the body'}: ${issue?.message}`);
    }
    const { stores, now, servers } = this.#dependencies;
    const strange = parsed.data.servers?.find((server) => !servers.includes(server));
    if (strange !== undefined) throw wrong(`servers: there is no MCP server "${strange}" in relay.servers`);
    const { expiresAt } = parsed.data;
    if (expiresAt !== undefined && expiresAt <= now()) throw wrong('expiresAt: must be in the future');
    const parts = newApiKey();
    const record: ApiKeyRecord = {
      ...parsed.data,
      id: parts.id,
      createdAt: now(),
      secretHash: hashSecret(parts.secret).toString('base64url'),
    };
    await this.#ended.willExpire(record);
    await stores.documents.put(COLLECTION, parts.id, JSON.stringify(record), expiresAt);
    return { listing: listingOf(record), key: formatApiKey(parts) };
  }

  /** Newest first. */
  async list(): Promise<ApiKeyListing[]> {
    const documents = await this.#dependencies.stores.documents.list(COLLECTION);
    return documents
      .map(({ id, value }) => this.#parse(id, value))
      .filter((record) => record !== undefined)
      .sort((a, b) => b.createdAt - a.createdAt)
      .map(listingOf);
  }

  /** Whom keys stand for; one of several keys comes several times. */
  async people(): Promise<Person[]> {
    return (await this.list()).map((key) => this.personOf(key));
  }

  /** Whom a key stands for. */
  personOf({ subject, name }: Pick<ApiKeyListing, 'subject' | 'name'>): Person {
    return { issuer: this.#dependencies.issuer, subject, name };
  }

  /** First in the store, then everywhere. @returns whether there was one */
  async revoke(id: string): Promise<boolean> {
    const { documents, pubSub } = this.#dependencies.stores;
    // Asked before it is gone, and not waited for: nothing may hold up a revocation.
    const text = documents.get(COLLECTION, id);
    void this.#remember(id, text);
    const removed = await documents.remove(COLLECTION, id);
    this.#forget(id);
    await pubSub.publish(TOPIC, id);
    await this.#dependencies.ended.end(credentialHandle('api-key', id));
    return removed;
  }

  /** The key is revoked whether or not this can be done. */
  async #remember(id: string, reading: Promise<string | undefined>): Promise<void> {
    try {
      const text = await reading;
      const record = text === undefined ? undefined : this.#parse(id, text);
      if (record !== undefined) await this.#ended.revoked(record);
    } catch (error) {
      this.#dependencies.log.warn({ error, id }, 'a later use of this revoked API key will not be recognised');
    }
  }

  /**
   * Whose key it was, where it was good once.
   *
   * @throws DependencyUnavailable
   */
  ended(parts: ApiKeyParts): Promise<RevokedKey | undefined> {
    return this.#ended.find(parts);
  }

  #forget(id?: string): void {
    this.#heard += 1;
    if (id === undefined) this.#known.clear();
    else this.#known.delete(id);
  }

  #parse(id: string, text: string): ApiKeyRecord | undefined {
    try {
      const record = apiKeyRecordSchema.parse(JSON.parse(text));
      if (record.id === id) return record;
    } catch {
      // The error would quote the record.
    }
    this.#dependencies.log.error({ id }, 'the record of an API key is damaged; the key is refused');
    return undefined;
  }
}

function credentialOf({ id, expiresAt }: ApiKeyRecord): Credential {
  const handle = credentialHandle('api-key', id);
  return expiresAt === undefined ? { handle } : { handle, expiresAt };
}

function listingOf({ secretHash: _secretHash, ...record }: ApiKeyRecord): ApiKeyListing {
  return { ...record, prefix: `${API_KEY_PREFIX}${record.id}` };
}

function wrong(message: string): PosternError {
  return new PosternError('invalid_request', message, { status: 400, expose: true });
}
