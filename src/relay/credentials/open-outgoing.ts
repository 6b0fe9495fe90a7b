import { IDENTITY_HEADER_NAMES, IDENTITY_HEADERS } from '../../identity/headers.ts';
import { passThroughKind } from '../../platform/config/passthrough-schema.ts';
import type { Config, RelayConfig } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import { openSecret } from '../../platform/secret-source.ts';
import { openSigningKeys, type SigningKeys } from '../../platform/signing-keys.ts';
import { passesAlways } from '../upstreams/request-headers.ts';
import type { Credential } from './credential.ts';
import { assertionHeader, identityHeaders, type RelayAssertions } from './identity-fields.ts';
import { type HeaderSource, OutgoingHeaders } from './outgoing-headers.ts';
import { passThrough } from './pass-through.ts';
import { staticCredential } from './static-credential.ts';

type ServerConfig = RelayConfig['servers'][string];

export interface OutgoingDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Headers and credentials of all MCP servers. */
export interface AllOutgoing {
  /** @returns undefined where a server gets nothing beside what the protocol needs */
  of(server: string): OutgoingHeaders | undefined;
  /** Undefined where the relay signs nothing. */
  readonly keys: Pick<SigningKeys, 'published'> | undefined;
  close(): void;
}

/** @throws ConfigurationError where a key or a secret cannot be used */
export async function openOutgoing(config: Config, deps: OutgoingDependencies): Promise<AllOutgoing> {
  const { servers, signing } = config.relay;
  const signs = Object.values(servers).some(({ assertion }) => assertion);
  const keys = signs ? await openSigningKeys(signing, { ...deps, at: 'relay.signing' }) : undefined;
  const assertions = keys && {
    keys,
    issuer: signing.issuer ?? `${config.publicUrl.replace(/\/$/, '')}/relay`,
    lifetime: signing.lifetime,
    now: deps.now,
  };
  warnOfIdentity(config.relay, deps.log);
  const all = new Map(
    Object.entries(servers).map(([name, server]) => {
      const credential = openCredential(server, `relay.servers.${name}.credential`, deps);
      const sources = headerSources(config.relay, server, credential, assertions);
      const empty = sources.length === 0 && credential === undefined;
      return [name, empty ? undefined : new OutgoingHeaders(sources, credential)] as const;
    }),
  );
  return { of: (server) => all.get(server), keys, close: () => keys?.close() };
}

function headerSources(
  relay: RelayConfig,
  server: ServerConfig,
  credential: Credential | undefined,
  assertions: RelayAssertions | undefined,
): HeaderSource[] {
  const { passthrough, trust } = relay;
  const owned = new Set(credential?.names);
  if (server.identityHeaders) for (const name of IDENTITY_HEADER_NAMES) owned.add(name.toLowerCase());
  const names = passthrough.enabled ? [...passthrough.headers, ...server.passthrough] : [];
  const plain = names
    .map((name) => name.toLowerCase())
    .filter((name) => !passesAlways(name) && passThroughKind(name, trust) !== 'identity');
  return [
    ...(plain.length === 0 ? [] : [passThrough(plain, owned, passthrough.maxValue)]),
    ...(server.identityHeaders ? [identityHeaders] : []),
    ...(server.assertion && assertions !== undefined
      ? [assertionHeader(new URL(server.url), server.resource ?? server.url, assertions)]
      : []),
  ];
}

function openCredential({ credential }: ServerConfig, at: string, deps: OutgoingDependencies): Credential | undefined {
  if (credential === undefined) return undefined;
  const { bearer, basic, header } = credential;
  if (bearer !== undefined) return staticCredential({ kind: 'bearer' }, openSecret(bearer, `${at}.bearer`, deps));
  if (basic !== undefined)
    return staticCredential(
      { kind: 'basic', user: basic.user },
      openSecret(basic.password, `${at}.basic.password`, deps),
    );
  if (header === undefined) return undefined;
  return staticCredential({ kind: 'header', name: header.name }, openSecret(header.value, `${at}.header.value`, deps));
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
