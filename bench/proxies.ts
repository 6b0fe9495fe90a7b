import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type ProgramName, resolveProgram } from '../test/support/programs.ts';
import { SERVER_CORE, startTarget, type Target } from './target.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters';
/** Seconds that Envoy waits for an answer. */
const PATIENCE = '5s';

/** What Envoy asks before it answers by itself: nobody, its own check of a JWT, or forward-auth. */
export type EnvoyCheck =
  | { readonly kind: 'none' }
  | { readonly kind: 'jwt'; readonly issuer: string; readonly audience: string; readonly jwks: object }
  | { readonly kind: 'http'; readonly port: number }
  | { readonly kind: 'grpc'; readonly port: number };

/** One worker on the server's core; the request ends in Envoy, so that only the check is between. */
export async function startEnvoy(folder: string, port: number, check: EnvoyCheck): Promise<Target> {
  const file = join(folder, `envoy-${check.kind}.yaml`);
  await writeFile(file, stringify(envoy(port, check)));
  const args = ['-c', file, '--concurrency', '1', '--log-level', 'error', '--use-dynamic-base-id'];
  return startTarget(SERVER_CORE, await binary('envoy'), args, { host: '127.0.0.1', port });
}

/** nginx alone, which answers by itself: what a server in C makes of the same question. */
export async function startNginx(folder: string, port: number): Promise<Target> {
  const file = join(folder, 'nginx.conf');
  await writeFile(
    file,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr crit;
events {}
http {
  access_log off; client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  server { listen 127.0.0.1:${port}; keepalive_requests 100000000; location / { return 200; } }
}
`,
  );
  return startTarget(SERVER_CORE, await binary('nginx'), ['-c', file], { host: '127.0.0.1', port });
}

async function binary(name: ProgramName): Promise<string> {
  const found = await resolveProgram(name);
  if (!('program' in found)) throw new Error(found.missing);
  if (found.program.kind !== 'binary') throw new Error(`${name} in a container cannot be pinned to a core`);
  return found.program.path;
}

function envoy(port: number, check: EnvoyCheck): object {
  const answer = { match: { prefix: '/' }, direct_response: { status: 200 } };
  const manager = {
    '@type': `${TYPE}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'bench',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [answer] }] },
    http_filters: [
      ...filters(check),
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${TYPE}.http.router.v3.Router` } },
    ],
  };
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config: manager };
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  const listener = { name: 'edge', address, filter_chains: [{ filters: [filter] }] };
  return { static_resources: { listeners: [listener], clusters: clusters(check) } };
}

function filters(check: EnvoyCheck): object[] {
  const asked = { '@type': `${TYPE}.http.ext_authz.v3.ExtAuthz`, transport_api_version: 'V3' };
  const name = 'envoy.filters.http.ext_authz';
  switch (check.kind) {
    case 'none':
      return [];
    case 'jwt':
      return [jwtFilter(check)];
    case 'http': {
      const server_uri = { uri: `http://127.0.0.1:${check.port}`, cluster: 'auth', timeout: PATIENCE };
      const authorization_request = { headers_to_add: [{ key: 'x-forwarded-proto', value: 'https' }] };
      const patterns = [{ prefix: 'x-authenticated' }];
      const authorization_response = { allowed_upstream_headers: { patterns } };
      const http_service = { server_uri, path_prefix: '/verify/envoy', authorization_request, authorization_response };
      const allowed_headers = { patterns: [{ exact: 'authorization' }, { exact: 'cookie' }] };
      return [{ name, typed_config: { ...asked, allowed_headers, http_service } }];
    }
    case 'grpc': {
      const grpc_service = { envoy_grpc: { cluster_name: 'auth' }, timeout: PATIENCE };
      return [{ name, typed_config: { ...asked, grpc_service } }];
    }
  }
}

function jwtFilter({ issuer, audience, jwks }: Extract<EnvoyCheck, { kind: 'jwt' }>): object {
  const provider = { issuer, audiences: [audience], local_jwks: { inline_string: JSON.stringify(jwks) } };
  const rule = { match: { prefix: '/' }, requires: { provider_name: 'bench' } };
  return {
    name: 'envoy.filters.http.jwt_authn',
    typed_config: {
      '@type': `${TYPE}.http.jwt_authn.v3.JwtAuthentication`,
      providers: { bench: provider },
      rules: [rule],
    },
  };
}

function clusters(check: EnvoyCheck): object[] {
  if (check.kind !== 'http' && check.kind !== 'grpc') return [];
  const address = { socket_address: { address: '127.0.0.1', port_value: check.port } };
  const lb_endpoints = [{ endpoint: { address } }];
  const http2 = {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  return [
    {
      name: 'auth',
      type: 'STATIC',
      connect_timeout: PATIENCE,
      load_assignment: { cluster_name: 'auth', endpoints: [{ lb_endpoints }] },
      ...(check.kind === 'grpc' ? http2 : {}),
    },
  ];
}
