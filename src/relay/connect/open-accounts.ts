import type { AuditEntry } from '../../platform/audit/audit-entry.ts';
import type { AuditLog } from '../../platform/audit/audit-log.ts';
import type { Config, RelayConfig } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import type { PageSite } from '../../platform/pages/page.ts';
import type { RotatingSealing } from '../../platform/sealing/sealing-keys.ts';
import { openSecret } from '../../platform/secret-source.ts';
import type { Stores } from '../../stores/stores.ts';
import type { Credential } from '../credentials/credential.ts';
import type { AuthorizationServers } from '../credentials/server-metadata.ts';
import type { Callers } from '../trust/caller.ts';
import { AccountConnections } from './account-connections.ts';
import { ConnectPages } from './connect-pages.ts';
import { ConnectTransactions } from './connect-transaction.ts';
import { ConnectionStore } from './connection.ts';
import { callbackPath, serverPath } from './paths.ts';
import { personCredential } from './person-credential.ts';
import { type ProviderSettings, UpstreamProvider } from './provider.ts';

export interface AccountsDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stores: Stores;
  readonly fetch: typeof fetch;
  readonly servers: AuthorizationServers;
  readonly audit: AuditLog | undefined;
  readonly accountSealing: () => RotatingSealing;
}

/** The accounts that people connect for MCP servers, and the pages where they do. */
export interface Accounts {
  credentialOf(server: string): Credential | undefined;
  pages(callers: Callers, site: PageSite): ConnectPages;
}

/** Accounts that one person may begin to connect within a minute. */
const ATTEMPTS = 20;

/**
 * @returns undefined where no server wants an account
 * @throws ConfigurationError where keys or secrets cannot be used
 */
export function openAccounts(config: Config, deps: AccountsDependencies): Accounts | undefined {
  const { stores, now, log } = deps;
  const wanted = Object.entries(config.relay.servers).flatMap(([name, { credential, url, resource }]) =>
    credential?.connection === undefined || url === undefined
      ? []
      : [{ server: name, url, resource: resource ?? url, ...credential.connection }],
  );
  if (wanted.length === 0) return undefined;
  const settings = config.relay.connections;
  const sealing = deps.accountSealing();
  if (stores.kind === 'memory') log.info('there is no Redis: connected accounts are forgotten when the relay ends');
  const store = new ConnectionStore(stores.documents, sealing, settings.idleLifetime, now);
  const { documents, locks } = stores;
  const record = (entry: AuditEntry) => deps.audit?.record(entry);
  const connections = new Map(
    wanted.map((account) => {
      const provider = new UpstreamProvider(providerSettings(account, config.publicUrl, deps), {
        ...{ documents, locks, sealing, now },
        servers: deps.servers,
        fetch: deps.fetch,
      });
      return [account.server, new AccountConnections(provider, { store, locks, log, now, record })] as const;
    }),
  );
  const attempts = new ConnectTransactions(sealing, locks, settings.attemptLifetime, now);
  const limiter = stores.limiter('connect', ATTEMPTS, 60_000);
  return {
    credentialOf: (server) => {
      const found = connections.get(server);
      return found && personCredential(found, new URL(serverPath(server), config.publicUrl).href);
    },
    pages: (callers, site) => new ConnectPages({ callers, connections, attempts, limiter, site, log }),
  };
}

type ConnectionConfig = NonNullable<NonNullable<RelayConfig['servers'][string]['credential']>['connection']>;

function providerSettings(
  account: ConnectionConfig & { readonly server: string; readonly url: string; readonly resource: string },
  publicUrl: string,
  deps: AccountsDependencies,
): ProviderSettings {
  const { server, clientSecret, resource, sendResource } = account;
  const at = `relay.servers.${server}.credential.connection.clientSecret`;
  return {
    ...account,
    issuer: account.issuer,
    clientId: account.clientId,
    name: account.name ?? server,
    resource: sendResource ? resource : undefined,
    secret: clientSecret && openSecret(clientSecret, at, deps),
    redirectUri: new URL(callbackPath(server), publicUrl).href,
  };
}
