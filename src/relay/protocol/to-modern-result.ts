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
