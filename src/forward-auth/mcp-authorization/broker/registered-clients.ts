import type { Consents } from './consents.ts';
import type { Grants } from './grants.ts';
import type { RecordAdapter } from './record-adapter.ts';

/** What is said about a client; never its secret. */
export interface ListedClient {
  readonly client: string;
  readonly name: string;
  readonly redirects: readonly string[];
  /** ISO 8601. */
  readonly registered: string;
}

/** Clients that registered themselves, for whoever runs this. */
export class RegisteredClients {
  readonly #clients: Pick<RecordAdapter, 'list' | 'find' | 'destroy'>;
  readonly #grants: Grants;
  readonly #consents: Consents;

  constructor(clients: Pick<RecordAdapter, 'list' | 'find' | 'destroy'>, grants: Grants, consents: Consents) {
    this.#clients = clients;
    this.#grants = grants;
    this.#consents = consents;
  }

  async list(): Promise<ListedClient[]> {
    const found = await this.#clients.list();
    return found.map(({ client_id: client = '', client_name: name = client, redirect_uris: redirects, ...rest }) => ({
      client,
      name,
      redirects: redirects ?? [],
      registered: new Date(Number(rest.client_id_issued_at ?? 0) * 1_000).toISOString(),
    }));
  }

  /** With everything that was granted to it; one that is named by its document or configured keeps its name only. */
  async remove(client: string): Promise<{ readonly client: boolean; readonly grants: number }> {
    const known = (await this.#clients.find(client)) !== undefined;
    await this.#clients.destroy(client);
    await this.#consents.forgetClient(client);
    const granted = await this.#grants.ofClient(client);
    for (const { id } of granted) await this.#grants.end(id, 'client_removed');
    return { client: known, grants: granted.length };
  }
}
