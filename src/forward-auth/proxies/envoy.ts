import type { IncomingMessage } from 'node:http';
import type { Deny } from '../decision/decision.ts';
import { type CheckRequest, DUPLICATED, RequestHeaders } from '../decision/request.ts';
import type { ProxyAdapter } from './adapter.ts';
import { readForwarded } from './forwarded.ts';

const PREFIX = '/verify/envoy';

/**
 * Reads the request that Envoy's ext_authz asks about over HTTP: the client's own method, and its own target behind
 * `path_prefix`, cut off as text because resolving it could leave the prefix. Call it for trusted peers only.
 */
export function parseEnvoy(message: IncomingMessage, hops = 1): CheckRequest | Deny {
  const headers = new RequestHeaders(message.rawHeaders);
  // With several proxies in front, Envoy names the one address that it trusts (`xff_num_trusted_hops`).
  const trusted = headers.get('x-envoy-external-address');
  return readForwarded({
    proxy: 'envoy',
    method: ['the method', message.method],
    target: ['path_prefix', message.url?.startsWith(PREFIX) ? message.url.slice(PREFIX.length) : undefined],
    host: ['Host', headers.get('host')],
    scheme: ['x-forwarded-proto', headers.get('x-forwarded-proto')],
    client:
      hops === 1 && (typeof trusted === 'string' || trusted === DUPLICATED)
        ? ['x-envoy-external-address', trusted]
        : ['x-forwarded-for', headers.get('x-forwarded-for')],
    fix: 'is it in allowed_headers of ext_authz? See deploy/envoy',
    hops,
    headers,
  });
}

export const ENVOY: ProxyAdapter = { name: 'envoy', appendsTarget: true, parse: parseEnvoy };
