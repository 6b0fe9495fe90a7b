import { anotherIssuer } from '../../platform/discovery.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { failureText } from '../../platform/failure-reason.ts';
import { fetchJson } from '../../platform/fetch-json.ts';
import type { Logger } from '../../platform/log.ts';
import { SERVER_METADATA_PATHS } from '../decision/oauth-endpoints.ts';

/** Milliseconds for which a document is handed on before its provider is asked again. */
const FRESH = 300_000;
/** And after which a provider that did not answer is asked again. */
const RETRY = 5_000;

type Document = Readonly<Record<string, unknown>>;

export interface ProviderMetadataDependencies {
  readonly fetch: typeof fetch;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * The metadata of an authorization server that is another host's, as it is: clients of MCP 2025-03-26 look for it at the
 * server's own origin. Not a letter is changed, because a client must find the issuer there that issues its tokens.
 */
export class ProviderMetadata {
  readonly #issuer: string;
  readonly #deps: ProviderMetadataDependencies;
  #document: Document | undefined;
  #askAgain = 0;
  #asking: Promise<void> | undefined;

  constructor(issuer: string, deps: ProviderMetadataDependencies) {
    this.#issuer = issuer;
    this.#deps = deps;
  }

  /** @throws DependencyUnavailable where the provider has never answered */
  async read(): Promise<Document> {
    if (this.#deps.now() >= this.#askAgain) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = undefined;
      });
      await this.#asking;
    }
    if (this.#document === undefined) throw new DependencyUnavailable('the metadata of the identity provider');
    return this.#document;
  }

  async #ask(): Promise<void> {
    const { now, log } = this.#deps;
    try {
      this.#document = await this.#fetch();
      this.#askAgain = now() + FRESH;
    } catch (error) {
      // What it said last is better than nothing: such documents hardly ever change.
      this.#askAgain = now() + RETRY;
      log.warn(
        { issuer: this.#issuer, error: failureText(error) },
        'the metadata of the identity provider cannot be read',
      );
    }
  }

  /** In the order in which MCP clients try them (2025-11-25, authorization server discovery). */
  async #fetch(): Promise<Document> {
    let failure: unknown;
    for (const url of metadataUrls(this.#issuer)) {
      try {
        const document = await fetchJson(url, this.#deps.fetch);
        // RFC 8414 §3.3: what another issuer says must not be used.
        if (document.issuer === this.#issuer) return document;
        failure ??= anotherIssuer(url, this.#issuer, document.issuer);
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }
}

/** RFC 8414 §3.1 inserts the well-known part before the issuer's path, OpenID Connect Discovery §4.1 adds it at the end. */
export function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const [oauth, openid] = SERVER_METADATA_PATHS as [string, string];
  return [...new Set([`${origin}${oauth}${path}`, `${origin}${openid}${path}`, `${origin}${path}${openid}`])];
}
