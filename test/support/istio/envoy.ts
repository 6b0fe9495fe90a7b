import type { Json, Manifest } from './manifests.ts';
import { only } from './manifests.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters';
const HCM = 'envoy.filters.network.http_connection_manager';

/** Where the Services of the manifests are in a test, by `host:port`. */
export type Places = Readonly<Record<string, number>>;

/**
 * One listener of a gateway: what Istio 1.31 makes of a file of `deploy/istio` (pilot: `listener_builder.go`, `extauthz.go`,
 * `policy_applier.go`, `generator.go`), as far as these manifests go. Anything else in them is an error here.
 *
 * @param provider which extension provider is asked, instead of the one in the manifest
 * @param jwks the keys that istiod would have fetched
 */
export function gatewayListener(
  { manifests, meshConfig, places, jwks, provider }: Gateway,
  { name, port }: { name: string; port: number },
): { listener: Json; clusters: Json[] } {
  const clusters = new Map<string, Json>();
  const cluster = (host: string, at: number, http2 = false) => {
    const place = places[`${host}:${at}`];
    if (place === undefined) throw new Error(`no place for ${host}:${at}`);
    const key = `${name}|${at}||${host}`;
    clusters.set(key, clusterAt(key, place, http2));
    return key;
  };
  const policy = only(manifests, 'AuthorizationPolicy').spec;
  const httpFilters =
    policy.action === 'CUSTOM'
      ? custom(policy, providerOf(meshConfig, provider ?? policy.provider.name), cluster)
      : [jwtFilter(only(manifests, 'RequestAuthentication').spec.jwtRules, jwks ?? ''), principalFilter(policy)];
  const manager: Json = {
    '@type': `${TYPE}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    use_remote_address: true,
    ...normalization(meshConfig.pathNormalization.normalization),
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    stream_idle_timeout: '0s',
    http_filters: [
      ...httpFilters,
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${TYPE}.http.router.v3.Router` } },
    ],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: routes(only(manifests, 'VirtualService').spec, cluster) }],
    },
  };
  for (const patch of only(manifests, 'EnvoyFilter').spec.configPatches) apply(patch, manager);
  return {
    listener: {
      name,
      address: { socket_address: { address: '127.0.0.1', port_value: port } },
      filter_chains: [{ filters: [{ name: HCM, typed_config: manager }] }],
    },
    clusters: [...clusters.values()],
  };
}

export interface Gateway {
  readonly manifests: readonly Manifest[];
  readonly meshConfig: Json;
  readonly places: Places;
  readonly jwks?: string;
  readonly provider?: string;
}
type Cluster = (host: string, port: number, http2?: boolean) => string;

function clusterAt(name: string, port: number, http2: boolean): Json {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '2s',
    // As the sidecar in front of the process would come.
    upstream_bind_config: { source_address: { address: '127.0.0.6', port_value: 0 } },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    ...(http2 && {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
          explicit_http_config: { http2_protocol_options: {} },
        },
      },
    }),
  };
}

function normalization(kind: string): Json {
  if (kind !== 'DECODE_AND_MERGE_SLASHES') throw new Error(`normalization ${kind}`);
  return { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' };
}

function providerOf(meshConfig: Json, name: string): Json {
  const found = meshConfig.extensionProviders.find((one: Json) => one.name === name);
  if (found === undefined) throw new Error(`no provider ${name}`);
  return found;
}

/** Rules say which requests are asked about: they only leave a mark, which the check looks for. */
function custom(policy: Json, provider: Json, cluster: Cluster): Json[] {
  const mark = `istio-ext-authz-${provider.name}`;
  const policies = Object.fromEntries(
    policy.rules.map((rule: Json, index: number) => {
      const permissions = [{ and_rules: { rules: rule.to.map(({ operation }: Json) => operationRule(operation)) } }];
      return [`${mark}-rule[${index}]`, { permissions, principals: [{ any: true }] }];
    }),
  );
  const common = {
    '@type': `${TYPE}.http.ext_authz.v3.ExtAuthz`,
    transport_api_version: 'V3',
    filter_enabled_metadata: {
      filter: 'envoy.filters.http.rbac',
      path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }],
      value: { string_match: { prefix: mark } },
    },
  };
  return [
    {
      name: 'envoy.filters.http.rbac',
      typed_config: {
        '@type': `${TYPE}.http.rbac.v3.RBAC`,
        shadow_rules: { action: 'DENY', policies },
        shadow_rules_stat_prefix: 'istio_ext_authz_',
      },
    },
    { name: 'envoy.filters.http.ext_authz', typed_config: { ...common, ...service(provider, cluster) } },
  ];
}

function operationRule({ notPaths, ...rest }: Json): Json {
  if (Object.keys(rest).length > 0) throw new Error(`operation ${Object.keys(rest)}`);
  const rules = notPaths.map((path: string) => ({
    url_path: { path: path.endsWith('*') ? { prefix: path.slice(0, -1) } : { exact: path } },
  }));
  return { not_rule: { or_rules: { rules } } };
}

function service({ envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc }: Json, cluster: Cluster): Json {
  const { failOpen, statusOnError, timeout, service: host, port } = http ?? grpc;
  const common = { failure_mode_allow: failOpen, status_on_error: { code: Number(statusOnError) } };
  if (grpc)
    return {
      ...common,
      grpc_service: { envoy_grpc: { cluster_name: cluster(host, port, true), authority: host }, timeout },
    };
  return {
    ...common,
    allowed_headers: patterns(http.includeRequestHeadersInCheck),
    http_service: {
      path_prefix: http.pathPrefix,
      server_uri: { uri: `http://${host}`, cluster: cluster(host, port), timeout },
      authorization_response: {
        allowed_upstream_headers: patterns(http.headersToUpstreamOnAllow),
        allowed_client_headers: patterns(http.headersToDownstreamOnDeny),
        allowed_client_headers_on_success: patterns(http.headersToDownstreamOnAllow),
      },
    },
  };
}

function patterns(names: readonly string[]): Json {
  return {
    patterns: names.map((name) => ({
      ignore_case: true,
      ...(name.endsWith('*') ? { prefix: name.slice(0, -1) } : { exact: name }),
    })),
  };
}

function jwtFilter([rule, ...others]: Json[], jwks: string): Json {
  if (others.length > 0) throw new Error('one rule only');
  return {
    name: 'envoy.filters.http.jwt_authn',
    typed_config: {
      '@type': `${TYPE}.http.jwt_authn.v3.JwtAuthentication`,
      bypass_cors_preflight: true,
      providers: {
        'origins-0': {
          issuer: rule.issuer,
          audiences: rule.audiences,
          forward: rule.forwardOriginalToken,
          payload_in_metadata: 'payload',
          normalize_payload_in_metadata: { space_delimited_claims: ['scope', 'permission'] },
          claim_to_headers: rule.outputClaimToHeaders.map(({ header, claim }: Json) => ({
            header_name: header,
            claim_name: claim,
          })),
          local_jwks: { inline_string: jwks },
        },
      },
      rules: [
        {
          match: { prefix: '/' },
          requires: { requires_any: { requirements: [{ provider_name: 'origins-0' }, { allow_missing: {} }] } },
        },
      ],
    },
  };
}

function principalFilter({ rules, action }: Json): Json {
  const claim = (key: string, value: Json) => ({
    metadata: { filter: 'envoy.filters.http.jwt_authn', path: [{ key: 'payload' }, { key }], value },
  });
  const any = { string_match: { safe_regex: { regex: '.+' } } };
  const policies = Object.fromEntries(
    rules.map(({ from, when, ...rest }: Json, index: number) => {
      if (Object.keys(rest).length > 0) throw new Error(`rule ${Object.keys(rest)}`);
      const principals = from[0].source.requestPrincipals.map((principal: string) => {
        if (!principal.endsWith('/*')) throw new Error(`principal ${principal}`);
        const issuer = { string_match: { exact: principal.slice(0, -2) } };
        return { and_ids: { ids: [claim('iss', issuer), claim('sub', any)] } };
      });
      const conditions = when.map(({ key, values }: Json) => {
        const name = /^request\.auth\.claims\[(\w+)\]$/.exec(key)?.[1] ?? '';
        const ids = values.map((value: string) =>
          claim(name, { or_match: { value_matchers: [listOf(value), { string_match: { exact: value } }] } }),
        );
        return { or_ids: { ids } };
      });
      const ids = [{ or_ids: { ids: principals } }, ...conditions];
      return [`rule[${index}]`, { permissions: [{ any: true }], principals: [{ and_ids: { ids } }] }];
    }),
  );
  return {
    name: 'envoy.filters.http.rbac',
    typed_config: { '@type': `${TYPE}.http.rbac.v3.RBAC`, rules: { action, policies } },
  };
}

function listOf(value: string): Json {
  return { list_match: { one_of: { string_match: { exact: value } } } };
}

function routes({ http }: Json, cluster: Cluster): Json[] {
  return http.flatMap(({ match = [{ uri: { prefix: '/' } }], route, timeout = '0s' }: Json) =>
    match.map(({ uri }: Json) => ({
      match: uri.exact === undefined ? { prefix: uri.prefix } : { path: uri.exact },
      route: { cluster: cluster(route[0].destination.host, route[0].destination.port.number), timeout },
    })),
  );
}

function apply({ applyTo, match, patch }: Json, manager: Json): void {
  const { name, subFilter } = match.listener.filterChain.filter;
  if (match.context !== 'GATEWAY' || name !== HCM) throw new Error(`a patch of ${name}`);
  if (applyTo === 'HTTP_FILTER' && patch.operation === 'INSERT_FIRST') manager.http_filters.unshift(patch.value);
  else if (applyTo === 'NETWORK_FILTER' && patch.operation === 'MERGE') merge(manager, patch.value.typed_config);
  else if (applyTo === 'HTTP_FILTER' && patch.operation === 'MERGE') {
    const filter = manager.http_filters.find((one: Json) => one.name === subFilter.name);
    if (filter === undefined) throw new Error(`no filter ${subFilter.name}`);
    merge(filter.typed_config, patch.value.typed_config);
  } else throw new Error(`${patch.operation} of ${applyTo}`);
}

function merge(target: Json, more: Json): void {
  for (const [name, value] of Object.entries(more))
    if (typeof value === 'object' && !Array.isArray(value) && typeof target[name] === 'object')
      merge(target[name], value);
    else target[name] = value;
}
