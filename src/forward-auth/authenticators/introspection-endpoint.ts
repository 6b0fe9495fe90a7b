import { readFile } from 'node:fs/promises';
import { authenticateClient } from '../../platform/client-authentication.ts';
import type { ProviderConfig } from '../../platform/config/schema.ts';
import { discoverEndpoint } from '../../platform/discovery.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { failureText } from '../../platform/failure-reason.ts';
import { fetchJson } from '../../platform/fetch-json.ts';
import type { Logger } from '../../platform/log.ts';
import { providerFetch } from '../../platform/provider-fetch.ts';

/** Questions to one provider at the same time: invented tokens are asked about too. */
const MAX_RUNNING = 256;
/** So many of them are kept for tokens that were good before. */
const RESERVED = 64;

export interface IntrospectionEndpointDependencies {
  readonly log: Logger;
  readonly fetch: typeof fetch;
}

/** The introspection endpoint of one provider (RFC 7662), which we ask as our own client. */
export class IntrospectionEndpoint {
  readonly #provider: ProviderConfig;
  readonly #dependencies: IntrospectionEndpointDependencies;
  #url: string | undefined;
  #running = 0;
  #failing = false;

  constructor(provider: ProviderConfig, dependencies: IntrospectionEndpointDependencies) {
    this.#provider = provider;
    this.#dependencies = dependencies;
  }

  /**
   * @param knownBefore whether the token was good before: no flood of invented ones may keep it from its answer
   * @returns the provider's answer with a boolean `active` (RFC 7662 §2.2)
   * @throws DependencyUnavailable where there is none, whatever the cause: a token is not worth nothing because of it
   */
  async ask(token: string, knownBefore = false): Promise<Record<string, unknown>> {
    const { id, issuer, discoveryUrl, introspection } = this.#provider;
    const { log } = this.#dependencies;
    const fetcher = providerFetch(this.#provider, this.#dependencies.fetch);
    if (this.#running >= (knownBefore ? MAX_RUNNING : MAX_RUNNING - RESERVED))
      throw new DependencyUnavailable(`the identity provider "${id}"`);
    this.#running += 1;
    try {
      this.#url ??=
        introspection.url ?? (await discoverEndpoint(issuer, 'introspection_endpoint', fetcher, discoveryUrl));
      const answer = await fetchJson(this.#url, fetcher, await this.#form(token));
      if (typeof answer.active !== 'boolean') throw new Error(`${this.#url} does not say whether the token is active`);
      if (this.#failing) log.info({ provider: id }, 'the identity provider answers questions about tokens again');
      this.#failing = false;
      return answer;
    } catch (error) {
      // The provider may have moved its endpoint.
      this.#url = undefined;
      if (!this.#failing)
        log.warn(
          { provider: id, error: failureText(error), fix: checkClient(id) },
          'the identity provider could not be asked about a token',
        );
      this.#failing = true;
      throw new DependencyUnavailable(`the identity provider "${id}"`, error);
    } finally {
      this.#running -= 1;
    }
  }

  /** RFC 7662 §2.1, with our credentials as RFC 6749 §2.3.1 says. */
  async #form(token: string): Promise<{ body: URLSearchParams; headers: Record<string, string> }> {
    const { clientSecret, clientSecretPath } = this.#provider;
    // Read each time, so that a rotated secret needs no restart.
    const secret =
      clientSecret ?? (clientSecretPath === undefined ? undefined : (await readFile(clientSecretPath, 'utf8')).trim());
    const body = new URLSearchParams({ token, token_type_hint: 'access_token' });
    return { body, headers: authenticateClient(this.#provider, secret, body) };
  }
}

function checkClient(id: string): string {
  return `see introspection.url, clientId, clientSecret and clientAuthentication of the provider "${id}" in auth.providers`;
}
