import { ACCOUNT_PAGES } from '../../identity/account-pages.ts';
import type { AllowReason } from './decision.ts';
import { oauthTarget, SERVER_METADATA_PATHS } from './oauth-endpoints.ts';
import type { CheckRequest } from './request.ts';

export const METADATA_PATH = '/.well-known/oauth-protected-resource';
export const KEYS_PATH = '/_postern/jwks.json';

/** Where people sign in and out, below `publicUrl`. They guard themselves: each reads the session cookie on its own. */
export const SIGN_IN_PATHS = {
  ...ACCOUNT_PAGES,
  wrongAddress: '/_postern/wrong-address',
  callback: '/_postern/callback',
  signedOut: '/_postern/signed-out',
  backChannelLogout: '/_postern/backchannel-logout',
  frontChannelLogout: '/_postern/frontchannel-logout',
  me: '/_postern/me',
  assets: '/_postern/assets',
} as const;

/** Where a provider sends people back to: each to an address of its own where there are several (RFC 9700 §4.4.2.2). */
export function callbackPath(provider: string, several: boolean): string {
  return several ? `${SIGN_IN_PATHS.callback}/${provider}` : SIGN_IN_PATHS.callback;
}

const PEOPLE = new Set<string>(Object.values(SIGN_IN_PATHS));

/** What of the authorization server is here; undefined where it is off. */
export interface OwnAuthorizationServer {
  /** Also those at the origin of `publicUrl`. */
  readonly originEndpoints: boolean;
}

/**
 * Where a client may look that takes the MCP server, or its origin, for the authorization server: at the well-known
 * paths, bare or with the path of the server inserted.
 */
function isServerMetadata(path: string): boolean {
  return SERVER_METADATA_PATHS.some((base) => path === base || path.startsWith(`${base}/`));
}

/**
 * Whether a client looks there for metadata, also behind the path of what it takes for the authorization server (OpenID
 * Connect Discovery §4). It tries several such addresses and goes on after 404; another refusal can end its search.
 */
export function isMetadataLookup({ path, method }: CheckRequest): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  return isServerMetadata(path) || [METADATA_PATH, ...SERVER_METADATA_PATHS].some((base) => path.endsWith(base));
}

/**
 * Our own endpoints, where the proxy sends everything through the check: discovery documents are read before there is any
 * token, people sign in before they have a session, and clients get tokens before they have one.
 *
 * @param handsOnMetadata whether the metadata of a provider is here too
 */
export function ownEndpoint(
  { path, method }: CheckRequest,
  server: OwnAuthorizationServer | undefined,
  handsOnMetadata = false,
): Extract<AllowReason, 'metadata' | 'sign_in' | 'oauth'> | undefined {
  if (server !== undefined && oauthTarget(path, server.originEndpoints) !== undefined) return 'oauth';
  // `/.` and `/_` only; everything else is not ours.
  if (path.charCodeAt(1) !== 0x2e && path.charCodeAt(1) !== 0x5f) return undefined;
  if (PEOPLE.has(path) || /^\/_postern\/(?:assets\/.|callback\/[a-z0-9-]+$)/.test(path)) return 'sign_in';
  if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS') return undefined;
  if (handsOnMetadata && isServerMetadata(path)) return 'metadata';
  return path === KEYS_PATH || path === METADATA_PATH || path.startsWith(`${METADATA_PATH}/`) ? 'metadata' : undefined;
}
