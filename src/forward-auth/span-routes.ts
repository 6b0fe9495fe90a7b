import { INTERACTION_PATH, OAUTH_PATHS, ORIGIN_ENDPOINTS, SERVER_METADATA_PATHS } from './decision/oauth-endpoints.ts';
import { KEYS_PATH, METADATA_PATH, SIGN_IN_PATHS } from './decision/own-endpoints.ts';

const EXACT = new Set<string>([
  ...Object.values(SIGN_IN_PATHS),
  ...Object.values(OAUTH_PATHS),
  ...ORIGIN_ENDPOINTS.keys(),
  KEYS_PATH,
]);
const BELOW = [INTERACTION_PATH, METADATA_PATH, ...SERVER_METADATA_PATHS, SIGN_IN_PATHS.assets, SIGN_IN_PATHS.callback];

/** The address as spans name it (`http.route`): without what a client may put behind it. */
export function spanRoute(path: string): string | undefined {
  const check = /^\/verify\/(?:traefik|caddy|nginx|envoy)(?=\/|$)/.exec(path);
  if (check !== null) return check[0];
  if (EXACT.has(path)) return path;
  const below = BELOW.find((base) => path === base || path.startsWith(`${base}/`));
  return below === undefined || path === below ? below : `${below}/{path}`;
}
