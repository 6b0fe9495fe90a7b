import * as client from 'openid-client';
import type { ProviderConfig } from '../../platform/config/schema.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';

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

  #look(): Promise<client.Configuration> {
    this.#running ??= this.#discover().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #discover(): Promise<client.Configuration> {
    const { id, issuer, clientId = '', clockTolerance } = this.#provider;
    const { log, now, fetch: fetcher } = this.#dependencies;
    try {
      const found = await client.discovery(
        new URL(issuer),
        clientId,
        { [client.clockTolerance]: Math.ceil(clockTolerance / 1_000) },
        this.#authentication(),
        {
          timeout: TIMEOUT,
          [client.customFetch]: (url, options) => fetcher(url, options as RequestInit),
          execute: [
            // The token comes over TLS, yet its signature is checked as well: one check more that a proxy cannot fool.
            client.enableNonRepudiationChecks,
            ...(issuer.startsWith('http:') ? [client.allowInsecureRequests] : []),
          ],
        },
      );
      if (found.serverMetadata().issuer !== issuer) throw new Error(`${issuer} calls itself otherwise`);
      this.#known = found;
      this.#knownSince = now();
      this.#failures = 0;
      this.#retryAt = 0;
      return found;
    } catch (error) {
      this.#failures += 1;
      this.#retryAt = now() + Math.min(FIRST_WAIT * 2 ** (this.#failures - 1), LONGEST_WAIT);
      log.warn({ provider: id, error }, 'the identity provider could not be discovered');
      throw this.#unavailable(error);
    }
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
