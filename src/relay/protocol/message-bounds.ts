import { isRecord } from '../../platform/is-record.ts';
import { JsonNumber } from './json.ts';
import type { Json } from './json-rpc.ts';
import { MAX_ID, MAX_METHOD, MAX_NAME, MAX_NAMES, MAX_OBJECTS } from './name-bounds.ts';

/** @returns whether an id, or a progress token, is longer than any client needs */
export function isTooLongId(id: unknown): boolean {
  return (typeof id === 'string' || id instanceof JsonNumber) && String(id).length > MAX_ID;
}

/**
 * What in a message of a client is longer than anybody may keep of it. Holds with and without a policy, which compares names.
 *
 * @returns undefined where nothing is
 */
export function tooLong({ method, params }: Json): string | undefined {
  if (typeof method === 'string' && method.length > MAX_METHOD)
    return `"method" has more than ${MAX_METHOD} characters`;
  if (!isRecord(params)) return undefined;
  const { name, uri, ref, notifications, requestId, progressToken, _meta } = params;
  const ids = [requestId, progressToken, isRecord(_meta) ? _meta.progressToken : undefined];
  if (ids.some(isTooLongId)) return `an id or progress token has more than ${MAX_ID} characters`;
  const uris = isRecord(notifications) ? notifications.resourceSubscriptions : undefined;
  const many: readonly unknown[] = Array.isArray(uris) ? uris : [];
  if (many.length > MAX_OBJECTS) return `more than ${MAX_OBJECTS} resources`;
  let length = 0;
  for (const one of [name, uri, ...(isRecord(ref) ? [ref.name, ref.uri] : []), ...many]) {
    if (typeof one !== 'string') continue;
    if (one.length > MAX_NAME) return `a name or URI has more than ${MAX_NAME} characters`;
    length += one.length;
  }
  return length > MAX_NAMES ? `names and URIs have more than ${MAX_NAMES} characters together` : undefined;
}
