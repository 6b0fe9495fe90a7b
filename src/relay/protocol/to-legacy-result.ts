import { isRecord } from '../../platform/is-record.ts';
import type { Json } from './json-rpc.ts';
import { withoutEnvelope } from './meta.ts';

/** Of the stateless era alone. */
const LATER: ReadonlySet<string> = new Set(['ttlMs', 'cacheScope', 'resultType']);

/**
 * A result of a stateless server as clients of sessions read it. Structured content, and the schema of it, can be anything since
 * 2026-07-28 and must be an object before; what is none is left out, and the text beside it stays.
 */
export function toLegacyResult(result: Json): Json {
  const kept = Object.fromEntries(Object.entries(withoutEnvelope(result)).filter(([key]) => !LATER.has(key)));
  if (kept.structuredContent !== undefined && !isRecord(kept.structuredContent)) delete kept.structuredContent;
  if (Array.isArray(kept.tools)) kept.tools = kept.tools.map(legacyTool);
  return kept;
}

function legacyTool(tool: unknown): unknown {
  if (!isRecord(tool) || !isRecord(tool.outputSchema) || tool.outputSchema.type === 'object') return tool;
  const { outputSchema: _, ...rest } = tool;
  return rest;
}

/** A notification of a stateless server without what names the stream it came by. */
export function toLegacyNotification(message: Json): Json {
  return isRecord(message.params) ? { ...message, params: withoutEnvelope(message.params) } : message;
}
