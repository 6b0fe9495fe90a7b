import { isRecord } from '../../platform/is-record.ts';
import type { Message } from './message.ts';
import { CAPABILITIES_KEY, metaOf } from './meta.ts';
import { NAME_PARAMETERS } from './methods.ts';

/**
 * How the client can be asked to lead its person to an address (client/elicitation, URL mode): by an error where it said so at
 * `initialize` (2025-11-25), by a result where the `_meta` of the request says so (2026-07-28).
 */
export function elicitsUrls({ method, params }: Message): boolean | 'by-result' {
  if (method === 'initialize') return hasUrlMode(params.capabilities);
  return NAME_PARAMETERS.has(method) && hasUrlMode(metaOf(params)[CAPABILITIES_KEY]) && 'by-result';
}

/** @param capabilities of the client */
export function hasUrlMode(capabilities: unknown): boolean {
  return isRecord(capabilities) && isRecord(capabilities.elicitation) && isRecord(capabilities.elicitation.url);
}
