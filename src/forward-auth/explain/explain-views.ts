import type { IncomingMessage } from 'node:http';
import { PROXY_NAMES } from '../../platform/config/auth-schema.ts';
import type { Decision, Deny } from '../decision/decision.ts';
import type { ProxyAnswer } from '../decision/proxy-check.ts';
import type { CheckRequest, ProxyName } from '../decision/request.ts';
import type { ProxyAdapter } from '../proxies/adapter.ts';
import { CADDY } from '../proxies/caddy.ts';
import { ENVOY } from '../proxies/envoy.ts';
import { parseCheckRequest } from '../proxies/ext-authz/parse.ts';
import { NGINX } from '../proxies/nginx.ts';
import { renderRefusal } from '../proxies/render.ts';
import { TRAEFIK } from '../proxies/traefik.ts';

/** A client's request, as text: nothing of it is resolved before a proxy's adapter has read it. */
export interface ClientRequest {
  readonly method: string;
  readonly scheme: string;
  readonly host: string;
  readonly target: string;
  /** Name and value alternating. */
  readonly headers: readonly string[];
}

type Message = Pick<IncomingMessage, 'method' | 'url' | 'rawHeaders'>;

const ADAPTERS = new Map<ProxyName, ProxyAdapter>(
  [TRAEFIK, CADDY, NGINX, ENVOY].map((adapter) => [adapter.name, adapter]),
);

/** What one proxy sends to forward-auth about the request, with the files of `deploy/`, and how it is answered. */
export function viewOf(
  proxy: ProxyName,
  request: ClientRequest,
  decide: (request: CheckRequest) => Decision,
): { readonly decision: Decision; readonly answer: string } {
  const read = readAs(proxy, request);
  const decision = 'kind' in read ? read : decide(read);
  if (decision.kind === 'allow') return { decision, answer: '200 with the identity headers' };
  const plain = renderRefusal(decision, 'explain');
  return { decision, answer: describeAnswer(ADAPTERS.get(proxy)?.adapt?.(plain) ?? plain) };
}

export function isProxyName(name: string): name is ProxyName {
  return (PROXY_NAMES as readonly string[]).includes(name);
}

function readAs(proxy: ProxyName, request: ClientRequest): CheckRequest | Deny {
  if (proxy === 'envoy-grpc') {
    const { method, scheme, host, target: path } = request;
    const raw = [...without(request.headers, /^x-forwarded-proto$/i), 'x-forwarded-proto', scheme];
    return parseCheckRequest({ attributes: { request: { http: { method, scheme, host, path } } } }, raw);
  }
  const adapter = ADAPTERS.get(proxy) as ProxyAdapter;
  return adapter.parse(messageOf(proxy, request) as IncomingMessage);
}

function messageOf(proxy: Exclude<ProxyName, 'envoy-grpc'>, request: ClientRequest): Message {
  const { method, scheme, host, target, headers } = request;
  switch (proxy) {
    case 'traefik':
    case 'caddy': {
      const forwarded = ['X-Forwarded-Method', method, 'X-Forwarded-Uri', target, 'X-Forwarded-Host', host];
      const rawHeaders = [...without(headers, /^x-forwarded-/i), ...forwarded, 'X-Forwarded-Proto', scheme];
      return { method: 'GET', url: `/verify/${proxy}`, rawHeaders };
    }
    case 'nginx': {
      const original = ['X-Original-Method', method, 'X-Original-URI', target, 'X-Original-Host', host];
      const rawHeaders = [...without(headers, /^x-original-/i), ...original, 'X-Original-Proto', scheme];
      return { method: 'GET', url: '/verify/nginx', rawHeaders };
    }
    case 'envoy': {
      const rawHeaders = [
        ...without(headers, /^(host|x-forwarded-proto)$/i),
        'Host',
        host,
        'x-forwarded-proto',
        scheme,
      ];
      return { method, url: `/verify/envoy${target}`, rawHeaders };
    }
    default:
      return proxy satisfies never;
  }
}

/** A proxy sets these itself, whatever the client sent. */
function without(headers: readonly string[], names: RegExp): string[] {
  return headers.filter((_, index) => !names.test(headers[index - (index % 2)] as string));
}

/** The status, and what the proxy's configuration makes something else of. */
function describeAnswer({ status, headers }: ProxyAnswer): string {
  const carried: string[] = [];
  for (let i = 0; i < headers.length; i += 2)
    if (/^(WWW-Authenticate|Location|Retry-After|X-Postern-(?:Status|Location))$/.test(headers[i] as string))
      carried.push(`${headers[i]}: ${headers[i + 1]}`);
  return [String(status), ...carried].join(', ');
}
