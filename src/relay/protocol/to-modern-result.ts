import { isRecord } from '../../platform/is-record.ts';
import { INVALID_PARAMS, MISSING_CAPABILITY, RESOURCE_NOT_FOUND, URL_ELICITATION_REQUIRED } from './error-codes.ts';
import type { Json } from './json-rpc.ts';

/** Results that must say how long they hold (2026-07-28, `CacheableResult`). */
const CACHEABLE: ReadonlySet<string> = new Set([
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);

/** Has what the stateless era asks of every result. A server of sessions says nothing of caching, so nothing may be kept. */
export function toModernResult(method: string, result: Json): Json {
  const cache = CACHEABLE.has(method) ? { ttlMs: 0, cacheScope: 'private' } : {};
  return { ...cache, ...result, resultType: 'complete' };
}

/** An error of a server of sessions, by a code that the stateless era knows. */
export function toModernError(error: Json): Json {
  if (error.code === RESOURCE_NOT_FOUND) return { ...error, code: INVALID_PARAMS };
  if (error.code !== URL_ELICITATION_REQUIRED) return error;
  // A client that could be led there has been asked.
  const data = isRecord(error.data) ? error.data : {};
  return {
    ...error,
    code: MISSING_CAPABILITY,
    data: { ...data, requiredCapabilities: { elicitation: { url: {} } } },
  };
}
