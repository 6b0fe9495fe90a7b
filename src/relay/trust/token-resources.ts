import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../../platform/config/schema.ts';
import { presetOf } from '../../platform/config/trust-presets.ts';
import type { Refusal } from '../refusal.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
/** Where MCP servers are, by every transport (`/servers/<name>/mcp`), or all of them as one. */
const RESOURCE = /^(?:\/servers\/([a-z0-9][a-z0-9-]*))?\/(?:mcp|sse|ws)$/;

/**
 * Protected-resource metadata (RFC 9728 §3) of the relay itself, where the proxy before it passes on the client's own token and asks
 * the relay what it is for. HyprMCP Gateway does: it looks the document up at the relay, and remembers a 404 until it is restarted.
 */
export class TokenResources {
  readonly #origin: string;
  readonly #issuer: string;
  readonly #servers: ReadonlySet<string>;
  readonly #hasAggregate: boolean;

  private constructor(origin: string, issuer: string, servers: readonly string[], hasAggregate: boolean) {
    this.#origin = origin;
    this.#issuer = issuer;
    this.#servers = new Set(servers);
    this.#hasAggregate = hasAggregate;
  }

  /** @returns undefined where no proxy passes tokens on */
  static of({ publicUrl, relay }: Config): TokenResources | undefined {
    const { trust, servers, aggregate } = relay;
    const issuer = trust.token?.issuer;
    if (!trust.enabled || presetOf(trust) !== 'hyprmcp' || issuer === undefined) return undefined;
    return new TokenResources(new URL(publicUrl).origin, issuer, Object.keys(servers), aggregate !== undefined);
  }

  /** @returns false where the request is for something else */
  handle({ method, url = '' }: IncomingMessage, response: ServerResponse): boolean {
    if (url !== WELL_KNOWN && !url.startsWith(`${WELL_KNOWN}/`)) return false;
    if (method !== 'GET' && method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': '0' }).end();
      return true;
    }
    const path = url.slice(WELL_KNOWN.length);
    if (!this.#isResource(path)) {
      response.writeHead(404, { 'Content-Length': '0' }).end();
      return true;
    }
    const document = JSON.stringify({
      resource: this.#origin + path,
      authorization_servers: [this.#issuer],
      bearer_methods_supported: ['header'],
    });
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(document) });
    response.end(method === 'HEAD' ? undefined : document);
    return true;
  }

  /** Adds to the challenge of a 401 where the document of its resource is (RFC 9728 §5.1). @param target of the request */
  challenged(refusal: Refusal, target: string): Refusal {
    const path = target.split('?', 1)[0] as string;
    if (refusal.status !== 401 || !this.#isResource(path)) return refusal;
    const metadata = `resource_metadata="${this.#origin}${WELL_KNOWN}${path}"`;
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
