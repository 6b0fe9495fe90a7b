import type { IncomingMessage, ServerResponse } from 'node:http';
import { allowedOrigins } from '../../platform/config/allowed-origins.ts';
import type { Config } from '../../platform/config/schema.ts';

const METHODS = 'GET, POST, DELETE, OPTIONS';
const EXPOSED = 'WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After';
/** Seconds for which a browser need not ask again. */
const MAX_AGE = '600';
/** What a page may ask to send: names of header fields, and not without end. */
const HEADER_NAMES = /^[\w-]{1,64}(?:\s*,\s*[\w-]{1,64}){0,63}$/;

/**
 * Lets pages of the allowed origins read what the relay answers (Fetch §3.2), as MCP clients in a browser must. Of every
 * other origin a request is refused anyway. Credentials are not allowed: such a client sends a token, and no cookie.
 */
export class Cors {
  readonly #origins: ReadonlySet<string>;

  constructor(config: Pick<Config, 'publicUrl' | 'relay'>) {
    this.#origins = allowedOrigins(config);
  }

  /** @returns whether it was a preflight, which is answered then */
  handle({ method, headers }: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = headers;
    if (origin === undefined || !this.#origins.has(origin)) return false;
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Expose-Headers', EXPOSED);
    response.setHeader('Vary', 'Origin');
    if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return false;
    const asked = headers['access-control-request-headers'];
    // By name: the wildcard does not stand for `Authorization` (Fetch §3.2.3).
    if (asked !== undefined && HEADER_NAMES.test(asked)) response.setHeader('Access-Control-Allow-Headers', asked);
    response.setHeader('Access-Control-Allow-Methods', METHODS);
    response.setHeader('Access-Control-Max-Age', MAX_AGE);
    response.writeHead(204, { 'Content-Length': '0' }).end();
    return true;
  }
}
