import { METADATA_PATH } from './own-endpoints.ts';

/** One protected resource: an MCP server, or everything else under the public URL. */
export interface Resource {
  /** Canonical resource URI (RFC 8707 §2), without a trailing slash. */
  readonly uri: string;
  /** Path of the resource as a proxy reports it. */
  readonly path: string;
  /** Name of the MCP server; undefined for what is none. */
  readonly server?: string;
  /** Where its metadata is (RFC 9728 §3.1); undefined where nothing describes it. */
  readonly metadataUrl: string | undefined;
}

/** Finds the resource of a request. Addresses come from the configured public URL, never from a forwarded host. */
export class Resources {
  readonly #hostname: string;
  readonly #prefix: string;
  readonly #servers = new Map<string, Resource>();
  /** What no server owns. */
  readonly rest: Resource;

  constructor(publicUrl: string, serverNames: readonly string[]) {
    const base = new URL(publicUrl);
    this.#hostname = base.hostname;
    const path = base.pathname.replace(/\/+$/, '');
    this.#prefix = `${path}/servers/`;
    for (const name of serverNames) {
      const own = `${this.#prefix}${name}/mcp`;
      this.#servers.set(name, {
        uri: base.origin + own,
        path: own,
        server: name,
        metadataUrl: `${base.origin}${METADATA_PATH}${own}`,
      });
    }
    this.rest = {
      uri: base.origin + path,
      path: `${path}/`,
      metadataUrl: serverNames.length === 0 ? `${base.origin}${METADATA_PATH}${path}` : undefined,
    };
  }

  /** Whether the resources are at this host, whatever its port. @param host canonical */
  isAt(host: string): boolean {
    return host.replace(/:\d+$/, '') === this.#hostname;
  }

  /** Those that a token can be for: each server, or everything where there is none. */
  all(): readonly Resource[] {
    return this.#servers.size === 0 ? [this.rest] : [...this.#servers.values()];
  }

  /** @param server configured name */
  named(server: string): Resource | undefined {
    return this.#servers.get(server);
  }

  /** @param path canonical path of the request */
  of(path: string): Resource {
    if (!path.startsWith(this.#prefix)) return this.rest;
    const end = path.indexOf('/', this.#prefix.length);
    return this.#servers.get(path.slice(this.#prefix.length, end === -1 ? undefined : end)) ?? this.rest;
  }

  /**
   * @param suffix what follows {@link METADATA_PATH}
   * @returns the resource described there: at the root the only one, where there is only one
   */
  describedAt(suffix: string): Resource | undefined {
    const wanted = suffix.replace(/\/$/, '');
    for (const resource of this.#servers.values()) if (resource.path === wanted) return resource;
    if (this.#servers.size === 0) return wanted === this.rest.path.slice(0, -1) ? this.rest : undefined;
    return wanted === '' && this.#servers.size === 1 ? [...this.#servers.values()][0] : undefined;
  }

  /** An MCP endpoint of one server of the relay. */
  isServerPath(path: string): boolean {
    return this.of(path) !== this.rest && this.isMcpPath(path);
  }

  /** Endpoints that speak MCP: their preflights are answered by the relay without any credential. */
  isMcpPath(path: string): boolean {
    const base = this.#prefix.slice(0, -'/servers/'.length);
    return (
      path.startsWith(base) &&
      /^\/(?:servers\/[a-z0-9][a-z0-9-]*\/)?(?:mcp|sse|messages|ws)$/.test(path.slice(base.length))
    );
  }
}

/**
 * Two spellings of one resource URI are the same: scheme and host without case, with or without a trailing slash. What
 * `new URL` would have to interpret (user information, dot segments, escapes of dots) stays as it is and matches nothing.
 */
export function canonicalResource(text: string): string {
  const plain = /^https?:\/\/[^/?#@\\\s]+(?:[/?][^#\\\s]*)?$/i.test(text) && !/\/(?:\.|%2e){1,2}(?:[/?]|$)/i.test(text);
  if (!plain || !URL.canParse(text)) return text;
  const url = new URL(text);
  return `${url.origin}${url.pathname.replace(/\/$/, '')}${url.search}`;
}
