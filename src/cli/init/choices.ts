import type { HostAndPort } from '../../platform/config/host-and-port.ts';

/** A reverse proxy that has a folder of its name in `deploy/`. */
export interface ProxyChoice {
  readonly title: string;
  /** Starts it in the folder with its files; absent: a cluster does. */
  readonly start?: string;
  /** The file with the address that it listens on. */
  readonly listens: string;
  /** That address as the file writes it; absent: its host, with brackets around IPv6, a colon and its port. */
  readonly addressText?: (address: HostAndPort) => string;
}

/** Where the proxy of each folder of `deploy/` listens. */
export const EXAMPLE_ADDRESS: HostAndPort = { host: '127.0.0.1', port: 8080 };

export function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

export function addressText({ host, port }: HostAndPort): string {
  return `${hostInUrl(host)}:${port}`;
}

const envoyAddress = ({ host, port }: HostAndPort) =>
  `socket_address: { address: ${host.includes(':') ? `"${host}"` : host}, port_value: ${port} }`;

export const PROXIES: Readonly<Record<string, ProxyChoice>> = {
  traefik: { title: 'Traefik', start: 'traefik --configfile=traefik.yaml', listens: 'traefik.yaml' },
  caddy: {
    title: 'Caddy',
    start: 'caddy run --config Caddyfile',
    listens: 'Caddyfile',
    addressText: ({ host, port }) => `http://:${port} {\n\tbind ${hostInUrl(host)}`,
  },
  nginx: {
    title: 'nginx',
    // It reads no environment.
    start: '(umask 077; envsubst < proof.conf.template > proof.conf) && nginx -p . -e stderr -c nginx.conf',
    listens: 'nginx.conf',
  },
  envoy: { title: 'Envoy', start: 'envoy -c envoy.yaml', listens: 'envoy.yaml', addressText: envoyAddress },
  'envoy-grpc': {
    title: 'Envoy over gRPC',
    start: 'envoy -c envoy.yaml',
    listens: 'envoy.yaml',
    addressText: envoyAddress,
  },
  haproxy: { title: 'HAProxy', start: 'haproxy -db -f haproxy.cfg', listens: 'haproxy.cfg' },
  istio: { title: 'Istio', listens: 'mesh.yaml' },
};

/** An identity provider as `deploy/` and docs/providers.md have it. */
export interface ProviderChoice {
  readonly title: string;
  /** Folder of `deploy/` whose `postern.yaml` has its settings; absent: OpenID Connect needs no others. */
  readonly folder?: string;
  /** What `--issuer` is asked for; absent: there is one for everybody. */
  readonly issuer?: string;
  /** The issuer, of what was given. */
  readonly issuerOf?: (given: string) => string;
  /** Whether its tokens hold groups; otherwise the domains of addresses say who may sign in. */
  readonly groups: boolean;
  /** Whether groups come as object ids, never as names, and app roles may stand in their place. */
  readonly objectIds?: boolean;
  /** Anchor in docs/providers.md. */
  readonly anchor: string;
}

export const PROVIDERS: Readonly<Record<string, ProviderChoice>> = {
  keycloak: {
    title: 'Keycloak',
    folder: 'keycloak',
    issuer: 'Address of the realm, such as https://sso.example.com/realms/main',
    groups: true,
    anchor: 'keycloak',
  },
  entra: {
    title: 'Entra ID',
    folder: 'entra',
    issuer: 'Id of the directory (tenant), such as 5ad9c1f2-0000-4000-8000-000000000000',
    issuerOf: (given) => (/^[0-9a-f-]{36}$/i.test(given) ? `https://login.microsoftonline.com/${given}/v2.0` : given),
    groups: true,
    objectIds: true,
    anchor: 'entra-id',
  },
  okta: {
    title: 'Okta',
    folder: 'okta',
    issuer: 'Issuer, such as https://example.okta.com or https://example.okta.com/oauth2/default',
    groups: true,
    anchor: 'okta',
  },
  google: { title: 'Google', folder: 'google', groups: false, anchor: 'google' },
  dex: {
    title: 'Dex',
    folder: 'hyprmcp-dex',
    issuer: 'Issuer, such as https://dex.example.com',
    groups: true,
    anchor: 'dex',
  },
  oidc: {
    title: 'OpenID Connect',
    issuer: 'Issuer, exactly as in its discovery document',
    groups: true,
    anchor: 'any-other',
  },
};
