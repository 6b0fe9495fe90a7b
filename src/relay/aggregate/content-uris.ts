import { isRecord } from '../../platform/is-record.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { uriToClient } from './uris.ts';

/** What {@link withClientUris} was made for; everything else has no URI that a client could ask for. */
const LISTS_OF_CONTENT = ['content', 'contents', 'messages'] as const;

/**
 * Marks the resources in what a server says — contents of `resources/read`, links and embedded resources in the results of
 * tools and in messages of prompts and for sampling — so that a client can ask for them. Nothing else is changed.
 *
 * @param value `result` of an answer or `params` of a message of the server
 */
export function withClientUris(server: string, value: Json): Json {
  const changed: Record<string, unknown> = { ...value };
  for (const key of LISTS_OF_CONTENT) if (key in value) changed[key] = marked(server, value[key], key === 'contents');
  return changed;
}

/** Lists, messages and blocks within each other (`tool_result` holds blocks again); the depth is that of the protocol. */
function marked(server: string, value: unknown, isResource: boolean): unknown {
  if (Array.isArray(value)) return value.map((entry) => marked(server, entry, isResource));
  if (!isRecord(value)) return value;
  if (isResource || value.type === 'resource_link') return withUri(server, value);
  if (value.type === 'resource' && isRecord(value.resource))
    return { ...value, resource: withUri(server, value.resource) };
  if ('content' in value && (value.role !== undefined || value.type === 'tool_result'))
    return { ...value, content: marked(server, value.content, false) };
  return value;
}

function withUri(server: string, value: Json): Json {
  return typeof value.uri === 'string' ? { ...value, uri: uriToClient(server, value.uri) } : value;
}
