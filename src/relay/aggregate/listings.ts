import { isRecord } from '../../platform/is-record.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { Names } from './names.ts';
import { uriToClient } from './uris.ts';

/** Each list of the protocol: its method, where its entries are, what makes an entry one. */
export const LISTINGS = {
  'tools/list': { entries: 'tools', key: 'name', capability: 'tools' },
  'prompts/list': { entries: 'prompts', key: 'name', capability: 'prompts' },
  'resources/list': { entries: 'resources', key: 'uri', capability: 'resources' },
  'resources/templates/list': { entries: 'resourceTemplates', key: 'uriTemplate', capability: 'resources' },
} as const;

export type ListMethod = keyof typeof LISTINGS;

export function isListMethod(method: string): method is ListMethod {
  return Object.hasOwn(LISTINGS, method);
}

/** Why an entry of a server is not in the common list. */
export type LeftOutReason = 'name_too_long' | 'listed_twice' | 'invalid' | 'needs_tasks';

export interface ClientEntries {
  readonly entries: Json[];
  readonly leftOut: Array<{ readonly name: string; readonly reason: LeftOutReason }>;
}

/** The entries of one server's page as the client shall see them, in the server's own order. */
export function clientEntries(method: ListMethod, server: string, result: Json, names: Names): ClientEntries {
  const { entries: field, key } = LISTINGS[method];
  const listed = result[field];
  const entries: Json[] = [];
  const leftOut: Array<{ name: string; reason: LeftOutReason }> = [];
  const seen = new Set<string>();
  for (const entry of Array.isArray(listed) ? listed : []) {
    const own = isRecord(entry) ? entry[key] : undefined;
    const found = isRecord(entry) && typeof own === 'string' ? clientEntry(key, server, entry, own, names) : 'invalid';
    const name = typeof own === 'string' ? own : '';
    if (typeof found === 'string') leftOut.push({ name, reason: found });
    else if (seen.has(name)) leftOut.push({ name, reason: 'listed_twice' });
    else entries.push(found);
    seen.add(name);
  }
  return { entries, leftOut };
}

function clientEntry(
  key: 'name' | 'uri' | 'uriTemplate',
  server: string,
  entry: Json,
  own: string,
  names: Names,
): Json | LeftOutReason {
  if (key !== 'name') return own === '' ? 'invalid' : { ...entry, [key]: uriToClient(server, own) };
  if (own === '') return 'invalid';
  // Tasks are known to one server only, and no capability of the whole offers them.
  if (isRecord(entry.execution) && entry.execution.taskSupport === 'required') return 'needs_tasks';
  const name = names.toClient(server, own);
  return name === undefined ? 'name_too_long' : { ...entry, name, ...pageOf(server, entry._meta) };
}

/** The page that shows a tool's results (MCP Apps), in the spelling of either revision of that extension. */
function pageOf(server: string, meta: unknown): { _meta?: Json } {
  if (!isRecord(meta)) return {};
  const changed: Record<string, unknown> = { ...meta };
  if (typeof meta['ui/resourceUri'] === 'string')
    changed['ui/resourceUri'] = uriToClient(server, meta['ui/resourceUri']);
  if (isRecord(meta.ui) && typeof meta.ui.resourceUri === 'string')
    changed.ui = { ...meta.ui, resourceUri: uriToClient(server, meta.ui.resourceUri) };
  return { _meta: changed };
}
