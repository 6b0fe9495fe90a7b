import { foldHeaderName } from '../../identity/headers.ts';
import type { AuthConfig } from '../../platform/config/schema.ts';

/** The proxies that can ask. Also a metric label, so the set is closed. */
export type ProxyName = NonNullable<AuthConfig['proxy']>;

/** What {@link RequestHeaders.get} answers for a header that came more than once. */
export const DUPLICATED = Symbol('duplicated header');

/**
 * Header look-up over `rawHeaders`. Node joins some duplicates by a comma and keeps the first of others (`Authorization`),
 * which hides exactly what must be refused.
 */
export class RequestHeaders {
  readonly #raw: readonly string[];

  /** @param raw name and value alternating, as they came */
  constructor(raw: readonly string[]) {
    this.#raw = raw;
  }

  /** @param name lower case */
  get(name: string): string | undefined | typeof DUPLICATED {
    const raw = this.#raw;
    let found: string | undefined;
    for (let i = 0; i < raw.length; i += 2) {
      const candidate = raw[i] as string;
      if (candidate.length !== name.length) continue;
      if (candidate !== name && candidate.toLowerCase() !== name) continue;
      if (found !== undefined) return DUPLICATED;
      found = raw[i + 1] as string;
    }
    return found;
  }

  /**
   * Whether a program that makes a variable of each name would take another one for this, such as `Mcp.Name` for `Mcp-Name`.
   *
   * @param name lower case
   */
  hasAlias(name: string): boolean {
    const raw = this.#raw;
    for (let i = 0; i < raw.length; i += 2) {
      const candidate = raw[i] as string;
      if (candidate.length !== name.length || (candidate.charCodeAt(0) | 0x20) !== name.charCodeAt(0)) continue;
      const lower = candidate.toLowerCase();
      if (lower !== name && foldHeaderName(lower) === name) return true;
    }
    return false;
  }
}

/** The client's request that a proxy asks about, in terms of no one proxy. */
export interface CheckRequest {
  readonly proxy: ProxyName;
  /** Upper-case method of the client's request. */
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Canonical, see `canonicalHost`. */
  readonly host: string;
  /** Path as the client wrote it and the upstream will see it, without the query. */
  readonly rawPath: string;
  /** Canonical path that rules are matched with, see `parseTarget`. */
  readonly path: string;
  /** See `Target`. */
  readonly readings?: readonly string[];
  /** Without the question mark; empty where there is none. */
  readonly query: string;
  /** As the trusted proxy saw it: for the log and for limits by address, never to let somebody in. */
  readonly clientAddress: string;
  readonly headers: RequestHeaders;
  /** What the proxy's own configuration says about the route (Envoy's `context_extensions`); no client can set it. */
  readonly context?: Readonly<Record<string, string>>;
}
