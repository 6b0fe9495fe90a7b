import type { IncomingMessage } from 'node:http';
import { type Deny, deny } from '../decision/decision.ts';
import { type CheckRequest, DUPLICATED, RequestHeaders } from '../decision/request.ts';
import { Ambiguous, canonicalHost, parseTarget } from '../decision/target.ts';
import type { ProxyAdapter } from './adapter.ts';

const SCHEMES: Readonly<Record<string, 'http' | 'https'>> = { http: 'http', https: 'https', ws: 'http', wss: 'https' };

/** Reads the request that Traefik's forwardAuth middleware describes in `X-Forwarded-*`. Call it for trusted peers only. */
export function parseTraefik(message: IncomingMessage): CheckRequest | Deny {
  const headers = new RequestHeaders(message.rawHeaders);
  const method = headers.get('x-forwarded-method');
  const uri = headers.get('x-forwarded-uri');
  const host = headers.get('x-forwarded-host');
  const proto = headers.get('x-forwarded-proto') ?? 'http';
  const via = headers.get('x-forwarded-for');
  if (typeof method !== 'string') return bad('X-Forwarded-Method', method);
  if (typeof uri !== 'string') return bad('X-Forwarded-Uri', uri);
  if (typeof host !== 'string') return bad('X-Forwarded-Host', host);
  if (!/^[A-Z]{1,32}$/.test(method)) return bad('X-Forwarded-Method', method);
  const scheme = typeof proto === 'string' && Object.hasOwn(SCHEMES, proto) ? SCHEMES[proto] : undefined;
  if (scheme === undefined) return bad('X-Forwarded-Proto', proto);
  const canonical = canonicalHost(host, scheme);
  if (canonical instanceof Ambiguous) return bad('X-Forwarded-Host', host);
  // Two values joined on the way; a comma in the path alone is an ordinary character (RFC 3986 §3.3).
  if (/^[^?]*,\s*\//.test(uri)) return bad('X-Forwarded-Uri', DUPLICATED);
  const target = parseTarget(uri);
  if (target instanceof Ambiguous) return deny(400, 'ambiguous_target', target.problem);
  return {
    proxy: 'traefik',
    method,
    scheme,
    host: canonical,
    rawPath: target.rawPath,
    path: target.path,
    query: target.query,
    clientAddress: typeof via === 'string' ? via.slice(via.lastIndexOf(',') + 1).trim() : '',
    headers,
  };
}

function bad(name: string, value: string | undefined | typeof DUPLICATED): Deny {
  const what = value === undefined ? 'is missing' : value === DUPLICATED ? 'came more than once' : 'is not valid';
  return deny(400, 'forwarded_headers', `${name} ${what}; does the proxy set it?`);
}

export const TRAEFIK: ProxyAdapter = { name: 'traefik', parse: parseTraefik };
