import { isRecord, type Message } from './streamable-http/message.ts';

/**
 * Whether the client can lead its person to an address (URL mode of elicitation, 2025-11-25 client/elicitation): said at
 * `initialize`, and since 2026-07-28 in the `_meta` of each request.
 */
export function elicitsUrls({ method, params }: Message): boolean {
  const meta = isRecord(params._meta) ? params._meta['io.modelcontextprotocol/clientCapabilities'] : undefined;
  const capabilities = method === 'initialize' ? params.capabilities : meta;
  return isRecord(capabilities) && isRecord(capabilities.elicitation) && isRecord(capabilities.elicitation.url);
}
