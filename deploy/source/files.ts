import {
  caddyRemovals,
  envoyAnswers,
  envoyRemovals,
  gatewayRemovals,
  haproxyAnswers,
  haproxyRemovals,
  istioAnswers,
  type Lines,
  nginxEmitted,
  nginxRemovals,
  traefikPattern,
} from './lists.ts';

type Part = (text: string) => string;

/** Between a comment that ends with `edge-headers: begin (name)` and the next with `edge-headers: end`. */
const block =
  (name: string, lines: Lines): Part =>
  (text) => {
    const pattern = new RegExp(
      `^([ \\t]*)(\\S+) edge-headers: begin \\(${name}\\)\\n[^]*?^[ \\t]*\\S+ edge-headers: end\\n`,
      'm',
    );
    const found = pattern.exec(text);
    if (found === null) throw new Error(`no block ${name}`);
    const [whole, indent, comment] = found;
    const written = [`${comment} edge-headers: begin (${name})`, ...lines, `${comment} edge-headers: end`];
    return text.replace(whole, () => written.map((line) => `${indent}${line}\n`).join(''));
  };

const pattern =
  (regex: string): Part =>
  (text) => {
    const line = /authResponseHeadersRegex: ".*"/;
    if (!line.test(text)) throw new Error('no authResponseHeadersRegex');
    return text.replace(line, () => `authResponseHeadersRegex: "${regex}"`);
  };

const TRAEFIK = [pattern(traefikPattern())];
const GATEWAY = [block('removed', gatewayRemovals)];

/** Files below `deploy/`, and what of each is written from `edge-headers.ts`. */
export const FILES: Readonly<Record<string, readonly Part[]>> = {
  'traefik/dynamic.yaml': TRAEFIK,
  'encrypted/dynamic.yaml': TRAEFIK,
  'grafana/dynamic.yaml': TRAEFIK,
  'contextforge/dynamic.yaml': TRAEFIK,
  'authelia/dynamic.yaml': TRAEFIK,
  'bridge/dynamic.yaml': TRAEFIK,
  // Its answers hold the person's access token under a name of the family.
  'oauth2-proxy/forward-auth/dynamic.yaml': [
    pattern(traefikPattern({ 'X-Auth-Request': ['User', 'Email', 'Groups', 'Preferred-Username'] })),
  ],
  'kubernetes/chart/templates/traefik.yaml': TRAEFIK,
  'kubernetes/kustomize/components/traefik/routes.yaml': TRAEFIK,
  'kubernetes/chart/templates/envoy-gateway.yaml': GATEWAY,
  'kubernetes/chart/templates/gateway-api.yaml': GATEWAY,
  'kubernetes/kustomize/components/envoy-gateway/routes.yaml': GATEWAY,
  'caddy/Caddyfile': [block('removed', caddyRemovals)],
  'nginx/emitted.conf': [block('removed', nginxRemovals), block('emitted', nginxEmitted)],
  'haproxy/haproxy.cfg': [block('removed', haproxyRemovals)],
  'haproxy/postern.lua': [block('answers', haproxyAnswers)],
  'envoy/envoy.yaml': [block('removed', envoyRemovals), block('answers', envoyAnswers)],
  'envoy-grpc/envoy.yaml': [block('removed', envoyRemovals)],
  'istio/custom.yaml': [block('removed', envoyRemovals)],
  'istio/mesh-values.yaml': [block('answers', istioAnswers)],
};

/** @throws Error where the file has no place for a list */
export function written(file: string, text: string): string {
  return (FILES[file] ?? []).reduce((so, part) => part(so), text);
}
