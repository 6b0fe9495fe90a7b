import { within } from '../../../platform/tracing/current-span.ts';
import type { Tracing } from '../../../platform/tracing/span.ts';
import { readTraceContext } from '../../../platform/tracing/trace-context.ts';
import { SERVICE } from './messages.ts';

/** What of a gRPC call says where it comes from. */
export interface CallOrigin {
  readonly peer: string;
  /** Envoy's own metadata. The `traceparent` among the headers of the request is the client's. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly trusted: boolean;
}

/** A span for each call (OpenTelemetry's conventions for RPC servers), in which everything happens that answers it. */
export async function tracedCall(tracing: Tracing, origin: CallOrigin, answer: () => Promise<void>): Promise<void> {
  const fields = Object.entries(origin.metadata).flatMap(([name, value]) => [name, String(value)]);
  const span = tracing.begin(`${SERVICE}/Check`, {
    kind: 'server',
    remote: origin.trusted ? readTraceContext(fields) : undefined,
    attributes: {
      'rpc.system.name': 'grpc',
      'rpc.method': `${SERVICE}/Check`,
      'network.peer.address': origin.peer,
    },
  });
  try {
    await within(span, answer);
  } finally {
    span.end();
  }
}
