import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Config } from '../../platform/config/schema.ts';
import { presetOf } from '../../platform/config/trust-presets.ts';
import type { Refusal } from '../refusal.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
/** Where MCP servers are, by every transport (`/servers/<name>/mcp`), or all of them as one. */
const RESOURCE = /^(?:\/servers\/([a-z0-9][a-z0-9-]*))?\/(?:mcp|sse|ws)$/;

/** A host with or without a port (RFC 9110 §7.2). */
const HOST = /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d+)?$/i;

/**
 * Protected-resource metadata (RFC 9728 §3) of the relay itself, where the proxy before it passes on the client's own token and asks
 * the relay what it is for. HyprMCP Gateway does: for each path whose 401 it has seen it fetches the document from the address which
 * that 401 names, until it is restarted, and tells clients an address of its own instead.
 */
export class TokenResources {
  readonly #origin: string;
  readonly #authorizationServer: string;
  readonly #servers: ReadonlySet<string>;
  readonly #hasAggregate: boolean;

  private constructor(origin: string, authorizationServer: string, servers: readonly string[], hasAggregate: boolean) {
    this.#origin = origin;
    this.#authorizationServer = authorizationServer;
    this.#servers = new Set(servers);
    this.#hasAggregate = hasAggregate;
  }

  /** @returns undefined where no proxy passes tokens on */
  static of({ publicUrl, relay }: Config): TokenResources | undefined {
    const { trust, servers, aggregate } = relay;
    const { issuer, dynamicClients } = trust.token ?? {};
    if (!trust.enabled || presetOf(trust) !== 'hyprmcp' || issuer === undefined) return undefined;
    const { origin } = new URL(publicUrl);
    // Dex registers nobody: clients without an id find the registration in the gateway's own metadata.
    const authorizationServer = dynamicClients === true ? origin : issuer;
    return new TokenResources(origin, authorizationServer, Object.keys(servers), aggregate !== undefined);
  }

  /** @returns false where the request is for something else */
  handle({ method, url = '' }: IncomingMessage, response: ServerResponse): boolean {
    // The gateway keeps the query of the request that was 401.
    const target = pathOf(url);
    if (target !== WELL_KNOWN && !target.startsWith(`${WELL_KNOWN}/`)) return false;
    if (method !== 'GET' && method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': '0' }).end();
      return true;
    }
    const path = target.slice(WELL_KNOWN.length);
    if (!this.#isResource(path)) {
      response.writeHead(404, { 'Content-Length': '0' }).end();
      return true;
    }
    const document = JSON.stringify({
      resource: this.#origin + path,
      authorization_servers: [this.#authorizationServer],
      bearer_methods_supported: ['header'],
    });
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(document) });
    response.end(method === 'HEAD' ? undefined : document);
    return true;
  }

  /**
   * Adds to the challenge of a 401 where the document of its resource is (RFC 9728 §5.1): at the relay, as the gateway has reached it.
   * By `publicUrl` the gateway would fetch the document from itself, and so without end.
   */
  challenged(refusal: Refusal, { url = '', headers, socket }: IncomingMessage): Refusal {
    const path = pathOf(url);
    const { host = '' } = headers;
    if (refusal.status !== 401 || !this.#isResource(path) || !HOST.test(host)) return refusal;
    const scheme = socket instanceof TLSSocket ? 'https' : 'http';
    const metadata = `resource_metadata="${scheme}://${host}${WELL_KNOWN}${path}"`;
    const known = refusal.headers?.['WWW-Authenticate'] ?? 'Bearer';
    const challenge = known === 'Bearer' ? `Bearer ${metadata}` : `${known}, ${metadata}`;
    return { ...refusal, headers: { ...refusal.headers, 'WWW-Authenticate': challenge } };
  }

  #isResource(path: string): boolean {
    const match = RESOURCE.exec(path);
    if (match === null) return false;
    const [, server] = match;
    return server === undefined ? this.#hasAggregate : this.#servers.has(server);
  }
}

function pathOf(target: string): string {
  return target.split('?', 1)[0] as string;
}
