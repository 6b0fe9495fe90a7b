import { within } from '../../../platform/tracing/current-span.ts';
import type { Tracing } from '../../../platform/tracing/span.ts';
import { mcpAttributes, mcpSpanName } from '../../mcp-attributes.ts';
import type { Message } from '../../protocol/message.ts';

/**
 * A trace of its own for a message that came by a connection and no request: it lasts until the message is on its way, and what
 * the server takes is below it.
 */
export function tracedMessage(
  tracing: Tracing | undefined,
  { message, server }: { readonly message: Message; readonly server: string },
  take: () => Promise<void>,
): void {
  if (tracing === undefined) return void take();
  const span = tracing.begin(
    mcpSpanName(message, () => false),
    {
      kind: 'server',
      attributes: { 'network.protocol.name': 'websocket', 'postern.server': server, ...mcpAttributes(message) },
    },
  );
  void within(span, take).finally(() => span.end());
}
