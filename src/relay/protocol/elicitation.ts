import { isRecord } from '../../platform/is-record.ts';
import type { Message } from './message.ts';

/** Requests that may be answered by a question since 2026-07-28 (basic/patterns/mrtr). */
const MAY_ASK: ReadonlySet<string | undefined> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/**
 * How the client can be asked to lead its person to an address (client/elicitation, URL mode): by an error where it said so at
 * `initialize` (2025-11-25), by a result where the `_meta` of the request says so (2026-07-28).
 */
export function elicitsUrls({ method, params }: Message): boolean | 'by-result' {
  if (method === 'initialize') return hasUrlMode(params.capabilities);
  const meta = isRecord(params._meta) ? params._meta['io.modelcontextprotocol/clientCapabilities'] : undefined;
  return MAY_ASK.has(method) && hasUrlMode(meta) && 'by-result';
}

/** @param capabilities of the client */
export function hasUrlMode(capabilities: unknown): boolean {
  return isRecord(capabilities) && isRecord(capabilities.elicitation) && isRecord(capabilities.elicitation.url);
}
