import { readFileSync } from 'node:fs';
import { IDENTITY_HEADER_NAMES, IDENTITY_HEADERS } from '../../identity/headers.ts';
import type { AuditLog } from '../../platform/audit/audit-log.ts';
import { passThroughKind } from '../../platform/config/passthrough-schema.ts';
import type { Config, RelayConfig } from '../../platform/config/schema.ts';
import { ConfigurationError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { createSafeFetch, type SafeFetchOptions } from '../../platform/safe-fetch.ts';
import type { RotatingSealing } from '../../platform/sealing/sealing-keys.ts';
import type { SigningKeys } from '../../platform/signing-keys.ts';
import type { Tracing } from '../../platform/tracing/span.ts';
import { tracedFetch } from '../../platform/tracing/traced-fetch.ts';
import { unreadable } from '../../platform/unreadable.ts';
import type { Stores } from '../../stores/stores.ts';
import { type Accounts, openAccounts } from '../connect/open-accounts.ts';
import { passesAlways } from '../upstreams/request-headers.ts';
import type { Credential } from './credential.ts';
import { assertionHeader, identityHeaders, type RelayAssertions } from './identity-fields.ts';
import { openCredential } from './open-credential.ts';
import { type HeaderSource, OutgoingHeaders } from './outgoing-headers.ts';
import { passThrough } from './pass-through.ts';
import { AuthorizationServers } from './server-metadata.ts';
import { TokenCache } from './token-cache.ts';

/** Tokens held for servers and people; the least used one goes and is asked for again. */
const MAX_TOKENS = 10_000;

type ServerConfig = RelayConfig['servers'][string];

export interface OutgoingDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stores: Stores;
  readonly audit: AuditLog | undefined;
  /** Absent: traces are off. */
  readonly tracing?: Tracing | undefined;
  /** Those of the process, made when first asked for. @throws ConfigurationError */
  readonly signingKeys: () => Promise<SigningKeys>;
  /** As above. */
  readonly accountSealing: () => RotatingSealing;
}

/** Headers and credentials of all MCP servers. */
export interface AllOutgoing {
  /** @returns undefined where a server gets nothing beside what the protocol needs */
  of(server: string): OutgoingHeaders | undefined;
  /** Undefined where the relay signs nothing. */
  readonly keys: Pick<SigningKeys, 'published'> | undefined;
  /** Undefined where people connect nothing. */
  readonly accounts: Accounts | undefined;
  close(): Promise<void>;
}

/** @throws ConfigurationError where a key or a secret cannot be used */
export async function openOutgoing(config: Config, deps: OutgoingDependencies): Promise<AllOutgoing> {
  const { servers, signing } = config.relay;
  const signs = Object.values(servers).some(({ assertion, credential }) => assertion || credential?.tokenExchange);
  const keys = signs ? await deps.signingKeys() : undefined;
  const assertions = keys && {
    keys,
    issuer: signing.issuer ?? `${config.publicUrl.replace(/\/$/, '')}/relay`,
    lifetime: signing.lifetime,
    now: deps.now,
  };
  warnOfIdentity(config.relay, deps.log);
  const safeFetch = createSafeFetch(fetchOptions(config.relay));
  const fetcher = tracedFetch(safeFetch, deps.tracing);
  const authorizationServers = new AuthorizationServers(fetcher, deps.now);
  const accounts = openAccounts(config, { ...deps, fetch: fetcher, servers: authorizationServers });
  const cache = new TokenCache(MAX_TOKENS, deps.now);
  const parts = { ...deps, assertions, accounts, cache, servers: authorizationServers };
  const all = new Map(
    Object.entries(servers).map(([name, server]) => {
      const credential = openCredential(name, server, parts);
      const passed = passedHeaders(config.relay, server, credential);
      const identity = identitySources(server, assertions);
      const empty = passed === undefined && identity.length === 0 && credential === undefined;
      const personal = server.credential?.tokenExchange !== undefined;
      return [name, empty ? undefined : new OutgoingHeaders({ passed, identity, credential, personal })] as const;
    }),
  );
  return {
    of: (server) => all.get(server),
    keys,
    accounts,
    close: async () => {
      await safeFetch.close();
    },
  };
}

/** What the configuration names may be asked as it is written; whatever else these name, only by https and in public. */
function fetchOptions({ servers, authorizationServers }: RelayConfig): SafeFetchOptions {
  const { allowedRanges, caPath } = authorizationServers;
  const named = Object.values(servers).flatMap(({ url, credential }) => {
    const { clientCredentials, tokenExchange, connection } = credential ?? {};
    const issuers = [clientCredentials?.issuer, tokenExchange?.issuer, connection?.issuer];
    return [
      ...(connection === undefined || url === undefined ? [] : [url]),
      ...issuers.filter((issuer) => issuer !== undefined),
    ];
  });
  if (caPath === undefined) return { allowedRanges, allowedOrigins: named };
  try {
    return { allowedRanges, allowedOrigins: named, ca: readFileSync(caPath, 'utf8') };
  } catch (cause) {
    throw new ConfigurationError([`relay.authorizationServers.caPath: ${unreadable(caPath, cause)}`], cause);
  }
}

function passedHeaders(
  { passthrough, trust }: RelayConfig,
  server: ServerConfig,
  credential: Credential | undefined,
): HeaderSource | undefined {
  const owned = new Set(credential?.names);
  if (server.identityHeaders) for (const name of IDENTITY_HEADER_NAMES) owned.add(name.toLowerCase());
  const names = passthrough.enabled ? [...passthrough.headers, ...server.passthrough] : [];
  const plain = names
    .map((name) => name.toLowerCase())
    .filter((name) => !passesAlways(name) && passThroughKind(name, trust) !== 'identity');
  return plain.length === 0 ? undefined : passThrough(plain, owned, passthrough.maxValue);
}

function identitySources(server: ServerConfig, assertions: RelayAssertions | undefined): HeaderSource[] {
  return [
    ...(server.identityHeaders ? [identityHeaders] : []),
    ...(server.assertion && server.url !== undefined && assertions !== undefined
      ? [assertionHeader(new URL(server.url), server.resource ?? server.url, assertions)]
      : []),
  ];
}

/** The proxy-authentication guide lists the user's header among those passed on; what a client wrote there is no identity. */
function warnOfIdentity({ passthrough, trust, servers }: RelayConfig, log: Logger): void {
  if (!passthrough.enabled) return;
  const listed = [...passthrough.headers, ...Object.values(servers).flatMap((server) => server.passthrough)];
  const names = listed.filter((name) => passThroughKind(name, trust) === 'identity');
  if (names.length > 0)
    log.warn(
      { headers: [...new Set(names)] },
      'identity headers are not passed on as they came. Fix: set relay.servers.<name>.identityHeaders to true, ' +
        `which sends ${IDENTITY_HEADERS.user} and the others as they were verified`,
    );
}
