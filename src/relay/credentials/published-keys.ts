import type { IncomingMessage, ServerResponse } from 'node:http';
import { sendJson } from '../../platform/http.ts';
import type { SigningKeys } from '../../platform/signing-keys.ts';

/** Where MCP servers and their authorization servers find the keys of what the relay signs. */
export const KEYS_PATH = '/.well-known/jwks.json';

/** Public keys are nobody's secret, so nobody is asked who they are. @returns whether the request was this one */
export function publishKeys(
  keys: Pick<SigningKeys, 'published'> | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (keys === undefined || request.url !== KEYS_PATH || request.method !== 'GET') return false;
  request.resume();
  sendJson(response, 200, { keys: keys.published() }, { 'Cache-Control': 'public, max-age=300' });
  return true;
}
