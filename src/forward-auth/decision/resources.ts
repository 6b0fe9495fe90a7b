import { METADATA_PATH } from './own-endpoints.ts';

/** One protected resource: an MCP server, or everything else under the public URL. */
export interface Resource {
  /** Canonical resource URI (RFC 8707 §2), without a trailing slash. */
  readonly uri: string;
  /** Path of the resource as a proxy reports it. */
  readonly path: string;
  /** Name of the MCP server; undefined for what is none, and for all of them as one. */
  readonly server?: string;
  /** Where its metadata is (RFC 9728 §3.1); undefined where nothing describes it. */
  readonly metadataUrl: string | undefined;
}

/** Finds the resource of a request. Addresses come from the configured public URL, never from a forwarded host. */
export class Resources {
  readonly #hostname: string;
  readonly #prefix: string;
  readonly #servers = new Map<string, Resource>();
  readonly #aggregate: Resource | undefined;
  /** What no server owns. */
  readonly rest: Resource;

  /** @param aggregate whether there are all servers as one, which is a resource of its own */
  constructor(publicUrl: string, serverNames: readonly string[], aggregate = false) {
    const base = new URL(publicUrl);
    this.#hostname = base.hostname;
    const path = base.pathname.replace(/\/+$/, '');
    this.#prefix = `${path}/servers/`;
    const described = (own: string) => ({
      uri: base.origin + own,
      path: own,
      metadataUrl: `${base.origin}${METADATA_PATH}${own}`,
    });
    for (const name of serverNames)
      this.#servers.set(name, { ...described(`${this.#prefix}${name}/mcp`), server: name });
    this.#aggregate = aggregate ? described(`${path}/mcp`) : undefined;
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

  /** Those that a token can be for: each server and all of them as one, or everything where there is none. */
  all(): readonly Resource[] {
    if (this.#servers.size === 0) return [this.rest];
    return [...this.#servers.values(), ...(this.#aggregate === undefined ? [] : [this.#aggregate])];
  }

  /** @param server configured name */
  named(server: string): Resource | undefined {
    return this.#servers.get(server);
  }

  /** @param path canonical path of the request */
  of(path: string): Resource {
    if (!path.startsWith(this.#prefix)) return this.#aggregateAt(path) ?? this.rest;
    const end = path.indexOf('/', this.#prefix.length);
    return this.#servers.get(path.slice(this.#prefix.length, end === -1 ? undefined : end)) ?? this.rest;
  }

  /**
   * @param suffix what follows {@link METADATA_PATH}
   * @returns the resource described there: at the root the only one, where there is only one
   */
  describedAt(suffix: string): Resource | undefined {
    const wanted = suffix.replace(/\/$/, '');
    if (this.#servers.size === 0) return wanted === this.rest.path.slice(0, -1) ? this.rest : undefined;
    const all = this.all();
    for (const resource of all) if (resource.path === wanted) return resource;
    return wanted === '' && all.length === 1 ? all[0] : undefined;
  }

  /** Its transports are at the paths of a server's, without the server. */
  #aggregateAt(path: string): Resource | undefined {
    const below = this.#prefix.slice(0, -'servers/'.length);
    return path.startsWith(below) && /^(?:mcp|sse|messages|ws)$/.test(path.slice(below.length))
      ? this.#aggregate
      : undefined;
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
