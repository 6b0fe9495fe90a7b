import type { BrokerConfig } from '../../../platform/config/schema.ts';
import type { Sealing } from '../../../platform/sealing/sealing.ts';
import type { RecordStore, Stores } from '../../../stores/stores.ts';
import { RecordAdapter } from './record-adapter.ts';

/** Store of each of oidc-provider's models: each kind is bounded by itself, so a flood of one drives out no other. */
const STORES: Readonly<Record<string, string>> = {
  Interaction: 'flows',
  Session: 'flow-sessions',
  AuthorizationCode: 'codes',
  RefreshToken: 'tokens',
  RegistrationAccessToken: 'registration-tokens',
  ReplayDetection: 'used-assertions',
};

export interface BrokerStoresDependencies {
  readonly stores: Pick<Stores, 'records'>;
  readonly sealing: Sealing;
  readonly now: () => number;
}

/** Where the broker keeps what, each kind bounded by itself. */
export class BrokerStores {
  readonly clients: RecordAdapter;
  readonly grantRecords: RecordStore;
  readonly consents: RecordStore;
  /** Told of each of oidc-provider's grants that ends. */
  onGrantEnd: (id: string) => Promise<void> = async () => {};
  readonly #adapters = new Map<string, RecordAdapter>();
  readonly #grants: RecordAdapter;
  readonly #make: (model: string) => RecordAdapter;

  constructor(
    { maxRecords, maxBytes, registration }: BrokerConfig,
    { stores, sealing, now }: BrokerStoresDependencies,
  ) {
    const store = (kind: string) => stores.records(`oauth-${kind}`, { maxRecords, maxBytes });
    this.grantRecords = store('grant-records');
    this.consents = store('consents');
    const common = { sealing, now };
    const lifetime = registration.unusedLifetime;
    this.clients = new RecordAdapter('Client', { ...common, store: store('clients'), lifetime, listed: true });
    const onDestroy = (id: string) => this.onGrantEnd(id);
    this.#grants = new RecordAdapter('Grant', { ...common, store: store('grants'), onDestroy });
    this.#adapters.set('Client', this.clients).set('Grant', this.#grants);
    this.#make = (model) =>
      new RecordAdapter(model, { ...common, store: store(STORES[model] ?? `of-${model.toLowerCase()}`) });
  }

  /** One for each of oidc-provider's models. */
  adapter(model: string): RecordAdapter {
    const adapter = this.#adapters.get(model) ?? this.#make(model);
    this.#adapters.set(model, adapter);
    return adapter;
  }

  /** @param until Unix time in milliseconds */
  async prolongGrant(id: string, until: number): Promise<void> {
    await this.#grants.update(id, (grant) => ({ ...grant, exp: Math.max(grant.exp ?? 0, Math.ceil(until / 1_000)) }));
    await this.#grants.extend(id, until);
  }

  async revokeGrant(id: string): Promise<void> {
    for (const model of ['AuthorizationCode', 'RefreshToken']) await this.adapter(model).revokeByGrantId(id);
    await this.#grants.destroy(id);
  }
}
