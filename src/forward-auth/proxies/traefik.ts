import type { IncomingMessage } from 'node:http';
import type { Deny } from '../decision/decision.ts';
import { type CheckRequest, RequestHeaders } from '../decision/request.ts';
import type { ProxyAdapter } from './adapter.ts';
import { readForwarded } from './forwarded.ts';

/** Reads the request that Traefik's forwardAuth middleware describes in `X-Forwarded-*`. Call it for trusted peers only. */
export function parseTraefik(message: IncomingMessage, hops = 1): CheckRequest | Deny {
  const headers = new RequestHeaders(message.rawHeaders);
  return readForwarded({
    proxy: 'traefik',
    method: ['X-Forwarded-Method', headers.get('x-forwarded-method')],
    target: ['X-Forwarded-Uri', headers.get('x-forwarded-uri')],
    host: ['X-Forwarded-Host', headers.get('x-forwarded-host')],
    scheme: ['X-Forwarded-Proto', headers.get('x-forwarded-proto') ?? 'http'],
    client: ['X-Forwarded-For', headers.get('x-forwarded-for')],
    fix: 'does the proxy set it? Traefik does by its forwardAuth middleware, with trustForwardHeader: false',
    hops,
    headers,
  });
}

/** Of the headers in its `authResponseHeaders`, Traefik deletes the request's own first. */
export const TRAEFIK: ProxyAdapter = {
  name: 'traefik',
  methodField: 'x-forwarded-method',
  dropsUnnamedCookie: true,
  parse: parseTraefik,
};
