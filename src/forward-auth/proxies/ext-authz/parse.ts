import type { Deny } from '../../decision/decision.ts';
import { type CheckRequest, RequestHeaders } from '../../decision/request.ts';
import { readForwarded } from '../forwarded.ts';
import type { EnvoyCheckRequest } from './messages.ts';

/**
 * The client's headers, name and value alternating. With `encode_raw_headers` Envoy sends each as it came; without, those
 * of one name are joined by commas, so that a second `Authorization` makes the token malformed.
 */
export function rawHeadersOf(check: EnvoyCheckRequest): string[] {
  const http = check.attributes?.request?.http;
  const listed = http?.header_map?.headers ?? [];
  const raw: string[] = [];
  if (listed.length === 0) {
    const joined = http?.headers ?? {};
    for (const name of Object.keys(joined)) raw.push(name, joined[name] as string);
  }
  // As Node reads header fields (RFC 9110 §5.5).
  for (const { key = '', value = '', raw_value: bytes } of listed)
    raw.push(key, bytes === undefined || bytes.length === 0 ? value : Buffer.from(bytes).toString('latin1'));
  return raw;
}

/** Reads the request that Envoy asks about over gRPC. Call it for trusted peers only. */
export function parseCheckRequest(check: EnvoyCheckRequest, raw: readonly string[], hops = 1): CheckRequest | Deny {
  const { source, request, context_extensions: context } = check.attributes ?? {};
  const http = request?.http;
  const headers = new RequestHeaders(raw);
  return readForwarded({
    proxy: 'envoy-grpc',
    method: ['attributes.request.http.method', http?.method || undefined],
    target: ['attributes.request.http.path', http?.path || undefined],
    host: ['attributes.request.http.host', http?.host || undefined],
    // Of HTTP/2 the scheme is the client's own word; this header is Envoy's.
    scheme: ['x-forwarded-proto', headers.get('x-forwarded-proto') ?? (http?.scheme || undefined)],
    // Envoy's own peer, which is a load balancer where one stands in front.
    client:
      hops === 1
        ? ['attributes.source.address', source?.address?.socket_address?.address]
        : ['x-forwarded-for', headers.get('x-forwarded-for')],
    hops,
    fix: 'is the client Envoy, with transport_api_version: V3? See deploy/envoy-grpc',
    headers,
    context: context ?? {},
  });
}
