import * as client from 'openid-client';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';

/** Milliseconds for which metadata is believed. */
const FRESH = 3_600_000;
/** Milliseconds for which a failure is remembered. */
const FAILED = 5_000;
const MAX_ISSUERS = 500;

type Known = { readonly metadata: client.ServerMetadata } | { readonly failure: unknown };

/**
 * What authorization servers say about themselves (RFC 8414 §3, OpenID Connect Discovery 1.0 §4), tried in the order of the
 * MCP specification (basic/authorization, 2025-11-25). Old metadata serves on while the server is away.
 */
export class AuthorizationServers {
  readonly #fetch: typeof fetch;
  readonly #known: BoundedCache<string, Known>;
  readonly #old = new BoundedCache<string, client.ServerMetadata>({ max: MAX_ISSUERS });
  readonly #running = new Map<string, Promise<client.ServerMetadata>>();

  /** @param fetcher refuses what must not be asked */
  constructor(fetcher: typeof fetch, now: () => number) {
    this.#fetch = fetcher;
    this.#known = new BoundedCache({ max: MAX_ISSUERS, perf: { now }, ttl: FRESH, ttlResolution: 0 });
  }

  /** @throws DependencyUnavailable */
  async metadata(issuer: string): Promise<client.ServerMetadata> {
    const known = this.#known.get(issuer);
    if (known !== undefined && 'metadata' in known) return known.metadata;
    const old = this.#old.get(issuer);
    if (known !== undefined) {
      if (old !== undefined) return old;
      throw unavailable(issuer, known.failure);
    }
    try {
      return await this.#look(issuer);
    } catch (error) {
      if (old !== undefined) return old;
      throw unavailable(issuer, error);
    }
  }

  /**
   * A client of that server.
   *
   * @param authentication how it proves itself; `none` for a public one
   * @throws DependencyUnavailable
   */
  async client(issuer: string, clientId: string, authentication: client.ClientAuth): Promise<client.Configuration> {
    const configuration = new client.Configuration(await this.metadata(issuer), clientId, undefined, authentication);
    configuration[client.customFetch] = (url, options) => this.#fetch(url, options as RequestInit);
    configuration.timeout = 5;
    client.enableNonRepudiationChecks(configuration);
    // Which addresses may be asked without TLS, the fetch knows.
    client.allowInsecureRequests(configuration);
    return configuration;
  }

  #look(issuer: string): Promise<client.ServerMetadata> {
    const running = this.#running.get(issuer);
    if (running !== undefined) return running;
    const look = this.#find(issuer)
      .then((metadata) => {
        this.#known.set(issuer, { metadata });
        this.#old.set(issuer, metadata);
        return metadata;
      })
      .catch((failure: unknown) => {
        this.#known.set(issuer, { failure }, { ttl: FAILED });
        throw failure;
      })
      .finally(() => this.#running.delete(issuer));
    this.#running.set(issuer, look);
    return look;
  }

  async #find(issuer: string): Promise<client.ServerMetadata> {
    let failure: unknown;
    for (const url of metadataUrls(issuer)) {
      try {
        const response = await this.#fetch(url, { headers: { Accept: 'application/json' } });
        if (response.status !== 200) throw new Error(`${new URL(url).origin} answered ${response.status}`);
        return checked(issuer, await response.json());
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }
}

function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    ...(path === '' ? [] : [`${origin}${path}/.well-known/openid-configuration`]),
  ];
}

/** Whose metadata it is must be said exactly so (RFC 8414 §3.3), and a browser is sent to web addresses only. */
function checked(issuer: string, value: unknown): client.ServerMetadata {
  const metadata = value as client.ServerMetadata;
  if (typeof value !== 'object' || value === null || metadata.issuer !== issuer)
    throw new Error(`the metadata of ${issuer} is that of another issuer`);
  const scheme = new URL(issuer).protocol;
  for (const [name, endpoint] of Object.entries(metadata)) {
    if (!/_(endpoint|uri)$/.test(name) || endpoint === undefined) continue;
    const url = typeof endpoint === 'string' && URL.canParse(endpoint) ? new URL(endpoint) : undefined;
    if (url === undefined || (url.protocol !== 'https:' && url.protocol !== scheme))
      throw new Error(`${name} in the metadata of ${issuer} is not a web address`);
  }
  return metadata;
}

function unavailable(issuer: string, cause: unknown): DependencyUnavailable {
  return new DependencyUnavailable(`the authorization server at ${new URL(issuer).host}`, cause);
}
