import { Authorities } from './authorities.ts';
import { METADATA_PATH } from './own-endpoints.ts';
import type { CheckRequest } from './request.ts';
import { canonicalHost } from './target.ts';

/** What a credential is good for: an origin and a path (RFC 8707 §2). */
export interface Resource {
  /** Canonical resource URI, without a trailing slash: one for all ways into the same server. */
  readonly uri: string;
  /** Canonical URI of this way in, by which its clients know it (RFC 9728 §3.3). */
  readonly address: string;
  /** Those of all ways in: a token for one of them is for the server. */
  readonly addresses: readonly string[];
  readonly scheme: 'http' | 'https';
  /** Canonical, see `canonicalHost`. */
  readonly host: string;
  /** Path of the resource as a proxy reports it. */
  readonly path: string;
  /** Name of the MCP server; undefined for what is none, and for all of them as one. */
  readonly server?: string;
  /** One MCP server of the relay, or all of them as one. */
  readonly isMcp: boolean;
  /** Where its metadata is (RFC 9728 §3.1); undefined where nothing describes it. */
  readonly metadataUrl: string | undefined;
}

/** Where a request goes, as far as it tells which resource it is for. */
export type Place = Pick<CheckRequest, 'scheme' | 'host' | 'path'>;

/** Last segments of the addresses by which clients reach a server. The first names it as a whole. */
const WAYS_IN = ['mcp', 'sse', 'ws'] as const;
type WaysIn = ReadonlyMap<string, Resource>;

/** Resources of other hosts, which clients may invent, are forgotten all at once. */
const MAX_OTHER_ORIGINS = 1_000;

/**
 * Finds the resource of a request: the one object that tokens, API keys, metadata, own endpoints and preflights ask.
 * The resources below `publicUrl` have addresses made from it, never from a forwarded host. Every other host and port is
 * one resource of its own, its origin, which nothing here describes or issues tokens for.
 */
export class Resources {
  readonly #authorities: Authorities;
  /** Path of the public URL, without a trailing slash. */
  readonly #base: string;
  readonly #prefix: string;
  readonly #servers = new Map<string, WaysIn>();
  readonly #aggregate: WaysIn | undefined;
  /** What is at the host of the public URL, but not below it. */
  readonly #beside: Resource;
  readonly #others = new Map<string, Resource>();
  /** What is below the public URL and no server owns. */
  readonly rest: Resource;

  /** @param aggregate whether there are all servers as one, which is a resource of its own */
  constructor(publicUrl: string, serverNames: readonly string[], aggregate = false) {
    const base = new URL(publicUrl);
    this.#authorities = new Authorities([publicUrl]);
    this.#base = base.pathname.replace(/\/+$/, '');
    this.#prefix = `${this.#base}/servers/`;
    const scheme = base.protocol === 'https:' ? 'https' : 'http';
    const own = { scheme, host: canonicalHost(base.host, scheme) as string } as const;
    const metadata = `${base.origin}${METADATA_PATH}`;
    const waysInto = (folder: string, server: object = {}): WaysIn => {
      const addresses = WAYS_IN.map((way) => `${base.origin}${folder}/${way}`);
      const ways = WAYS_IN.map((way, at): [string, Resource] => {
        const path = `${folder}/${way}`;
        const addressed = { uri: addresses[0] as string, address: addresses[at] as string, addresses };
        return [way, { ...own, ...addressed, path, ...server, isMcp: true, metadataUrl: metadata + path }];
      });
      return new Map(ways);
    };
    for (const name of serverNames) this.#servers.set(name, waysInto(this.#prefix + name, { server: name }));
    this.#aggregate = aggregate ? waysInto(this.#base) : undefined;
    this.rest = {
      ...own,
      ...addressed(base.origin + this.#base),
      path: `${this.#base}/`,
      isMcp: false,
      metadataUrl: serverNames.length === 0 ? metadata + this.#base : undefined,
    };
    this.#beside = { ...own, ...addressed(base.origin), path: '/', isMcp: false, metadataUrl: undefined };
  }

  /** Whether our own addresses are at this host and port. @param host canonical */
  isAt(host: string): boolean {
    return this.#authorities.has(host);
  }

  /** Those that a token can be for: each server and all of them as one, or everything where there is none. */
  all(): readonly Resource[] {
    if (this.#servers.size === 0) return [this.rest];
    return this.#waysIn().map(mainWay);
  }

  /** @param server configured name */
  named(server: string): Resource | undefined {
    const ways = this.#servers.get(server);
    return ways && mainWay(ways);
  }

  /** The way in that clients know by this address. @param uri canonical */
  addressed(uri: string): Resource | undefined {
    if (this.#servers.size === 0) return this.rest.uri === uri ? this.rest : undefined;
    return this.#everyWay().find(({ address }) => address === uri);
  }

  of(place: Place): Resource {
    const { path } = place;
    if (!this.isAt(place.host)) return this.#otherOrigin(place);
    if (!path.startsWith(this.#prefix)) return this.#aggregateAt(path) ?? this.#outsideServers(path);
    const end = path.indexOf('/', this.#prefix.length);
    const ways = this.#servers.get(path.slice(this.#prefix.length, end === -1 ? undefined : end));
    return ways === undefined ? this.rest : wayAt(ways, end === -1 ? '' : path.slice(end + 1));
  }

  /**
   * @param suffix what follows {@link METADATA_PATH}
   * @returns the resource described there: at the root the only one, where there is only one
   */
  describedAt(suffix: string): Resource | undefined {
    const wanted = suffix.replace(/\/$/, '');
    if (this.#servers.size === 0) return wanted === this.rest.path.slice(0, -1) ? this.rest : undefined;
    const described = this.#everyWay().find(({ path }) => path === wanted);
    if (described !== undefined) return described;
    const all = this.all();
    return wanted === '' && all.length === 1 ? all[0] : undefined;
  }

  /** Endpoints that speak MCP: their preflights are answered by the relay without any credential. */
  isMcpEndpoint({ host, path }: Place): boolean {
    return (
      path.startsWith(this.#base) &&
      /^\/(?:servers\/[a-z0-9][a-z0-9-]*\/)?(?:mcp|sse|messages|ws)\/?$/.test(path.slice(this.#base.length)) &&
      this.isAt(host)
    );
  }

  /** Its transports are at the paths of a server's, without the server. */
  #aggregateAt(path: string): Resource | undefined {
    return path.startsWith(`${this.#base}/`) && /^(?:mcp|sse|messages|ws)\/?$/.test(path.slice(this.#base.length + 1))
      ? this.#aggregate && wayAt(this.#aggregate, path.slice(this.#base.length + 1))
      : undefined;
  }

  #waysIn(): WaysIn[] {
    return [...this.#servers.values(), ...(this.#aggregate === undefined ? [] : [this.#aggregate])];
  }

  #everyWay(): Resource[] {
    return this.#waysIn().flatMap((ways) => [...ways.values()]);
  }

  #outsideServers(path: string): Resource {
    return path === this.#base || path.startsWith(this.rest.path) ? this.rest : this.#beside;
  }

  #otherOrigin({ scheme, host }: Place): Resource {
    const uri = `${scheme}://${host}`;
    let resource = this.#others.get(uri);
    if (resource === undefined) {
      if (this.#others.size >= MAX_OTHER_ORIGINS) this.#others.clear();
      resource = { ...addressed(uri), scheme, host, path: '/', isMcp: false, metadataUrl: undefined };
      this.#others.set(uri, resource);
    }
    return resource;
  }
}

function addressed(uri: string): Pick<Resource, 'uri' | 'address' | 'addresses'> {
  return { uri, address: uri, addresses: [uri] };
}

function mainWay(ways: WaysIn): Resource {
  return ways.get('mcp') as Resource;
}

/** Messages of an event stream are posted elsewhere, as part of the same way in. @param rest of the path */
function wayAt(ways: WaysIn, rest: string): Resource {
  const way = rest.replace(/\/$/, '');
  return ways.get(way === 'messages' ? 'sse' : way) ?? mainWay(ways);
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
