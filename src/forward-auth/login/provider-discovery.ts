import * as client from 'openid-client';
import type { ProviderConfig } from '../../platform/config/schema.ts';
import { anotherIssuer } from '../../platform/discovery.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { failureText } from '../../platform/failure-reason.ts';
import { isRecord } from '../../platform/is-record.ts';
import type { Logger } from '../../platform/log.ts';
import type { TokenRequest } from './token-request.ts';

export interface ProviderDependencies {
  readonly log: Logger;
  /** Milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
}

/** Seconds for each request to the provider. */
const TIMEOUT = 5;
/** Milliseconds after which a provider's metadata is looked at again. */
const REFRESH = 3_600_000;
/** Milliseconds; each failure doubles the wait from the first to the second. */
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

/** A provider's metadata (OpenID Connect Discovery 1.0 §4), found when first needed and kept while the provider is away. */
export class ProviderDiscovery {
  readonly #provider: ProviderConfig;
  readonly #secret: string | undefined;
  readonly #dependencies: ProviderDependencies;
  #known: client.Configuration | undefined;
  #knownSince = 0;
  #keys: client.ExportedJWKSCache | undefined;
  #running: Promise<client.Configuration> | undefined;
  #failures = 0;
  #retryAt = 0;

  constructor(provider: ProviderConfig, secret: string | undefined, dependencies: ProviderDependencies) {
    this.#provider = provider;
    this.#secret = secret;
    this.#dependencies = dependencies;
  }

  /** @throws DependencyUnavailable where the provider never answered */
  async configuration(): Promise<client.Configuration> {
    const now = this.#dependencies.now();
    const waiting = now < this.#retryAt;
    if (this.#known !== undefined) {
      // Looked up again beside the request, never before it.
      if (now - this.#knownSince > REFRESH && !waiting) void this.#look().catch(() => {});
      return this.#known;
    }
    if (waiting && this.#running === undefined) throw this.#unavailable();
    return this.#look();
  }

  /**
   * The provider for one token request, whose answers `request` keeps. The keys of ID tokens are those of the last request,
   * unless `newKeys` has them fetched: what asks for that is an answer of the provider itself, so nobody else can cause it.
   *
   * @throws DependencyUnavailable where the provider never answered
   */
  async configurationFor(request: TokenRequest, newKeys = false): Promise<client.Configuration> {
    const known = await this.configuration();
    const { client_id, ...metadata } = known.clientMetadata();
    const own = new client.Configuration(
      known.serverMetadata(),
      client_id,
      { ...metadata, ...this.#tolerance() },
      this.#authentication(),
    );
    own.timeout = TIMEOUT;
    own[client.customFetch] = (url, options) => request.fetch(url, options as RequestInit);
    for (const prepare of this.#preparations()) prepare(own);
    if (this.#keys !== undefined && !newKeys) client.setJwksCache(own, this.#keys);
    return own;
  }

  /** Keeps the keys that a token request has fetched for the next one. */
  keepKeys(used: client.Configuration): void {
    this.#keys = client.getJwksCache(used) ?? this.#keys;
  }

  #tolerance(): Record<symbol, number> {
    return { [client.clockTolerance]: Math.ceil(this.#provider.clockTolerance / 1_000) };
  }

  #preparations(): Array<(config: client.Configuration) => void> {
    return [
      // The token comes over TLS, yet its signature is checked as well: one check more that a proxy cannot fool.
      client.enableNonRepudiationChecks,
      ...([this.#provider.issuer, this.#provider.discoveryUrl].some((url) => url?.startsWith('http:'))
        ? [client.allowInsecureRequests]
        : []),
    ];
  }

  #look(): Promise<client.Configuration> {
    this.#running ??= this.#discover().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #discover(): Promise<client.Configuration> {
    const { id, issuer, clientId = '' } = this.#provider;
    const { log, now, fetch: fetcher } = this.#dependencies;
    try {
      const found = await client.discovery(new URL(issuer), clientId, this.#tolerance(), this.#authentication(), {
        timeout: TIMEOUT,
        [client.customFetch]: (url, options) => fetcher(url, options as RequestInit),
        execute: this.#preparations(),
      });
      const { issuer: named } = found.serverMetadata();
      if (named !== issuer) throw anotherIssuer(this.#url, issuer, named);
      this.#known = found;
      this.#knownSince = now();
      this.#failures = 0;
      this.#retryAt = 0;
      return found;
    } catch (error) {
      this.#failures += 1;
      this.#retryAt = now() + Math.min(FIRST_WAIT * 2 ** (this.#failures - 1), LONGEST_WAIT);
      const cause = discoveryFailure(this.#url, issuer, error);
      log.warn(
        { provider: id, error: cause.message, count: this.#failures },
        'the identity provider could not be discovered',
      );
      throw this.#unavailable(cause);
    }
  }

  get #url(): string {
    const { issuer, discoveryUrl } = this.#provider;
    return discoveryUrl ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  }

  #authentication(): client.ClientAuth {
    const { clientAuthentication = this.#secret === undefined ? 'none' : 'client_secret_basic' } = this.#provider;
    if (clientAuthentication === 'none' || this.#secret === undefined) return client.None();
    return clientAuthentication === 'client_secret_post'
      ? client.ClientSecretPost(this.#secret)
      : client.ClientSecretBasic(this.#secret);
  }

  #unavailable(cause?: unknown): DependencyUnavailable {
    return new DependencyUnavailable(`the identity provider "${this.#provider.id}"`, cause);
  }
}

/** What openid-client says of a discovery document, with its address and the cause. */
function discoveryFailure(url: string, issuer: string, error: unknown): Error {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED' && isRecord(cause) && isRecord(cause.body))
    return anotherIssuer(url, issuer, cause.body.issuer);
  if (cause instanceof Response && cause.status !== 200) return new Error(`${url} answered ${cause.status}`);
  const text = failureText(error);
  return new Error(text.includes(url) ? text : `${url}: ${text}`, { cause: error });
}
