import type { IncomingMessage } from 'node:http';
import type { Deny } from '../decision/decision.ts';
import { type CheckRequest, RequestHeaders } from '../decision/request.ts';
import type { ProxyAdapter } from './adapter.ts';
import { readForwarded } from './forwarded.ts';

/**
 * Reads the request that Caddy's forward_auth describes in `X-Forwarded-*`. Caddy replaces what a client sent of them.
 * The check's own address and Host are not looked at: Caddy appends the client's query to the one and copies the other.
 * Call it for trusted peers only.
 */
export function parseCaddy(message: IncomingMessage, hops = 1): CheckRequest | Deny {
  const headers = new RequestHeaders(message.rawHeaders);
  return readForwarded({
    proxy: 'caddy',
    method: ['X-Forwarded-Method', headers.get('x-forwarded-method')],
    target: ['X-Forwarded-Uri', headers.get('x-forwarded-uri')],
    host: ['X-Forwarded-Host', headers.get('x-forwarded-host')],
    scheme: ['X-Forwarded-Proto', headers.get('x-forwarded-proto')],
    client: ['X-Forwarded-For', headers.get('x-forwarded-for')],
    fix: 'does the proxy set it? Caddy does by forward_auth, see deploy/caddy',
    hops,
    headers,
  });
}

export const CADDY: ProxyAdapter = { name: 'caddy', methodField: 'x-forwarded-method', parse: parseCaddy };
