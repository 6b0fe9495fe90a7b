import type { Adapter, AdapterPayload } from 'oidc-provider';
import { digestOf } from '../../../platform/digest.ts';
import type { Sealing } from '../../../platform/sealing/sealing.ts';
import type { RecordStore, StoredRecord } from '../../../stores/stores.ts';
import { orUnavailable } from './oauth-unavailable.ts';
import { oidcErrors } from './oidc-library.ts';

/** Milliseconds for what oidc-provider keeps without an end. */
const WITHOUT_END = 24 * 60 * 60_000;

export interface RecordAdapterDependencies {
  readonly store: RecordStore;
  readonly sealing: Sealing;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** Milliseconds for records that oidc-provider would keep for good. */
  readonly lifetime?: number;
  /** Told when a record is removed on purpose. */
  readonly onDestroy?: (id: string) => Promise<void>;
  /** Whether all of them can be listed. */
  readonly listed?: boolean;
}

/**
 * One kind of oidc-provider's records in our stores. Their ids are codes, tokens and cookies, so the store sees hashes only,
 * and what is in them is sealed to kind, id and version.
 */
export class RecordAdapter implements Adapter {
  readonly #model: string;
  readonly #deps: RecordAdapterDependencies;

  constructor(model: string, deps: RecordAdapterDependencies) {
    this.#model = model;
    this.#deps = deps;
  }

  /** @param expiresIn seconds */
  async upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const { store, now, lifetime = WITHOUT_END } = this.#deps;
    const expiresAt = now() + (expiresIn === undefined ? lifetime : expiresIn * 1_000);
    await orUnavailable(store.create(this.#entry(this.#key(id), payload, 1, expiresAt)));
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    return this.#open(await orUnavailable(this.#deps.store.read(this.#key(id))));
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    const [found] = await orUnavailable(this.#deps.store.find(this.#term('uid', uid)));
    return this.#open(found);
  }

  /** Only devices without a browser have user codes (RFC 8628), and that grant is off. */
  async findByUserCode(): Promise<undefined> {
    return undefined;
  }

  /**
   * Exactly one of several who come at the same time, at whichever replica, uses up a code.
   *
   * @throws InvalidGrant for all the others
   */
  async consume(id: string): Promise<void> {
    const { store, now } = this.#deps;
    const entry = await orUnavailable(store.read(this.#key(id)));
    const payload = this.#open(entry);
    if (entry !== undefined && payload !== undefined && payload.consumed === undefined) {
      const used = { ...payload, consumed: Math.floor(now() / 1_000) };
      const next = this.#entry(entry.key, used, entry.version + 1, entry.expiresAt);
      if (await orUnavailable(store.replace(next))) return;
    }
    throw new (oidcErrors().InvalidGrant)('used by another request at the same time');
  }

  /**
   * Changes a record in one step, over the changes of others.
   *
   * @returns the record as it is then; undefined where it is gone
   */
  async update(id: string, change: (payload: AdapterPayload) => AdapterPayload): Promise<AdapterPayload | undefined> {
    const { store } = this.#deps;
    for (;;) {
      const entry = await orUnavailable(store.read(this.#key(id)));
      const payload = this.#open(entry);
      if (entry === undefined || payload === undefined) return undefined;
      const changed = change(payload);
      const next = this.#entry(entry.key, changed, entry.version + 1, entry.expiresAt);
      if (await orUnavailable(store.replace(next))) return changed;
    }
  }

  async destroy(id: string): Promise<void> {
    await orUnavailable(this.#deps.store.end(this.#key(id)));
    await this.#deps.onDestroy?.(id);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await this.endOf(grantId, () => true);
  }

  /** Ends those records of a grant that are meant. */
  async endOf(grantId: string, isMeant: (payload: AdapterPayload) => boolean): Promise<void> {
    const { store } = this.#deps;
    const found = await orUnavailable(store.find(this.#term('grant', grantId)));
    for (const entry of found) {
      const payload = this.#open(entry);
      if (payload === undefined || isMeant(payload)) await orUnavailable(store.end(entry.key));
    }
  }

  async list(): Promise<AdapterPayload[]> {
    const found = await this.#deps.store.find(this.#term('every', ''));
    return found.map((entry) => this.#open(entry)).filter((payload) => payload !== undefined);
  }

  /** Lets a record that is in use live on. @param until Unix time in milliseconds */
  async extend(id: string, until: number): Promise<void> {
    await this.#deps.store.extend(this.#key(id), until);
  }

  #entry(key: string, payload: AdapterPayload, version: number, expiresAt: number): StoredRecord {
    const { uid, grantId } = payload;
    const indexes = [
      ...(this.#deps.listed === true ? [this.#term('every', '')] : []),
      ...(typeof uid === 'string' ? [this.#term('uid', uid)] : []),
      ...(typeof grantId === 'string' ? [this.#term('grant', grantId)] : []),
    ];
    const value = this.#deps.sealing.seal(this.#purpose(key, version), JSON.stringify(payload));
    return { key, version, value, indexes, expiresAt };
  }

  #open(entry: StoredRecord | undefined): AdapterPayload | undefined {
    if (entry === undefined) return undefined;
    const text = this.#deps.sealing.open(this.#purpose(entry.key, entry.version), entry.value);
    return text && (JSON.parse(text.toString('utf8')) as AdapterPayload);
  }

  #key(id: string): string {
    return this.#hash('record', id);
  }

  #term(kind: string, value: string): string {
    return this.#hash(kind, value);
  }

  #purpose(key: string, version: number): string {
    return `oauth ${this.#model} 1 ${key} ${version}`;
  }

  #hash(kind: string, value: string): string {
    return digestOf(JSON.stringify(['postern oauth 1', this.#model, kind, value]));
  }
}
