/** Where MCP clients get tokens, and people consent to them. */
export const OAUTH_PATH = '/_postern/oauth';
export const INTERACTION_PATH = `${OAUTH_PATH}/interaction`;
export const OAUTH_PATHS = {
  authorization: `${OAUTH_PATH}/authorize`,
  token: `${OAUTH_PATH}/token`,
  registration: `${OAUTH_PATH}/register`,
  revocation: `${OAUTH_PATH}/revoke`,
  introspection: `${OAUTH_PATH}/introspect`,
  jwks: `${OAUTH_PATH}/jwks`,
} as const;
/** RFC 8414 §3 and OpenID Connect Discovery §4, of an issuer without a path. */
export const SERVER_METADATA_PATHS = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'];
/** Where clients of MCP 2025-03-26 look that find no metadata, and the endpoint that answers there. */
export const ORIGIN_ENDPOINTS: ReadonlyMap<string, string> = new Map([
  ['/authorize', OAUTH_PATHS.authorization],
  ['/token', OAUTH_PATHS.token],
  ['/register', OAUTH_PATHS.registration],
]);

export type OAuthEndpoint =
  | keyof typeof OAUTH_PATHS
  | 'metadata'
  /** Where an authorization goes on after our own pages. */
  | 'resume'
  /** What a client registered, for itself (RFC 7592 §2.1). */
  | 'client'
  /** Our own pages: sign-in and consent. */
  | 'interaction';

/** An endpoint of the authorization server, and its one path. */
export interface OAuthTarget {
  readonly endpoint: OAuthEndpoint;
  readonly path: string;
}

const EXACT = new Map<string, OAuthTarget>([
  ...SERVER_METADATA_PATHS.map((path) => [path, { endpoint: 'metadata', path }] as const),
  ...Object.entries(OAUTH_PATHS).map(
    ([endpoint, path]) => [path, { endpoint: endpoint as OAuthEndpoint, path }] as const,
  ),
]);

/** Endpoints whose last segment is an id that we made ourselves: letters, digits, `-` and `_` only. */
const WITH_ID: ReadonlyArray<readonly [prefix: string, endpoint: OAuthEndpoint]> = [
  [`${INTERACTION_PATH}/`, 'interaction'],
  [`${OAUTH_PATHS.authorization}/`, 'resume'],
  [`${OAUTH_PATHS.registration}/`, 'client'],
];
const ID = /^[\w-]{1,64}$/;

/**
 * The authorization server's endpoint at a path. A path has one spelling: the library's own router ignores case and a trailing
 * slash and decodes ids, so anything but an exact match would reach an endpoint past the limits that belong to it.
 *
 * @param path as it was sent, undecoded
 * @param originEndpoints also those at the origin ({@link ORIGIN_ENDPOINTS})
 * @returns undefined where there is none
 */
export function oauthTarget(path: string, originEndpoints: boolean): OAuthTarget | undefined {
  const exact = EXACT.get(path) ?? (originEndpoints ? EXACT.get(ORIGIN_ENDPOINTS.get(path) ?? '') : undefined);
  if (exact !== undefined) return exact;
  const found = WITH_ID.find(([prefix]) => path.startsWith(prefix));
  return found !== undefined && ID.test(path.slice(found[0].length)) ? { endpoint: found[1], path } : undefined;
}
