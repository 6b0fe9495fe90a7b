import { API_KEY_PREFIX } from '../api-keys/key-format.ts';

/** What the broker's opaque tokens and codes begin with, so that they, too, are known at sight and found when they leak. */
export const OAUTH_TOKEN_PREFIX = 'pso_';

/** Whether an opaque token is of our own making, good or not: no provider ever sees one. */
export function isOwnToken(token: string): boolean {
  return token.startsWith(API_KEY_PREFIX) || token.startsWith(OAUTH_TOKEN_PREFIX);
}
