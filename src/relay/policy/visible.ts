import type { Identity } from '../../identity/identity.ts';
import { isRecord } from '../../platform/is-record.ts';
import { MAX_LISTED, MAX_NAME } from '../protocol/name-bounds.ts';
import type { McpObjectKind } from './operation.ts';

/** Where the four lists are in a result, and what names an entry (server/tools, server/prompts, server/resources). */
const LISTS = [
  { key: 'tools', kind: 'tool', name: 'name', template: false },
  { key: 'prompts', kind: 'prompt', name: 'name', template: false },
  { key: 'resources', kind: 'resource', name: 'uri', template: false },
  { key: 'resourceTemplates', kind: 'resource', name: 'uriTemplate', template: true },
] as const satisfies ReadonlyArray<{ key: string; kind: McpObjectKind; name: string; template: boolean }>;

/** Whether a message holds one of the lists. */
export function isList({ result }: Readonly<Record<string, unknown>>): boolean {
  return isRecord(result) && LISTS.some(({ key }) => key in result);
}

/** Whether one entry of a list is shown. */
export type Shows = (
  identity: Identity,
  server: string,
  object: { kind: McpObjectKind; name: string },
  template: boolean,
) => boolean;

/**
 * A server's answer with only those entries of its lists that the caller may use. By the form of the result: after a
 * resumed stream nobody knows which request an answer belongs to. A name or URI that is too long to be compared is left out, and so
 * is what follows when all of them together are.
 *
 * @returns the same object where nothing was taken out
 */
export function visible(
  message: Readonly<Record<string, unknown>>,
  identity: Identity,
  server: string,
  shows: Shows,
): Readonly<Record<string, unknown>> {
  const { result } = message;
  if (!isRecord(result)) return message;
  let filtered: Record<string, unknown> | undefined;
  let listed = false;
  let left = MAX_LISTED;
  for (const { key, kind, name, template } of LISTS) {
    const list = result[key];
    if (!Array.isArray(list)) continue;
    listed = true;
    const kept = list.filter((entry: unknown) => {
      const named = isRecord(entry) ? entry[name] : undefined;
      if (typeof named !== 'string' || named.length > MAX_NAME) return false;
      left -= named.length;
      return left >= 0 && shows(identity, server, { kind, name: named }, template);
    });
    if (kept.length !== list.length) filtered = { ...(filtered ?? result), [key]: kept };
  }
  // A list that others would see otherwise must not be kept for them (2026-07-28, caching).
  if (listed && result.cacheScope === 'public') filtered = { ...(filtered ?? result), cacheScope: 'private' };
  if (filtered === undefined) return message;
  return { ...message, result: filtered };
}
