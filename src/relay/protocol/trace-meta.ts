import type { TraceContext } from '../../platform/tracing/span.ts';
import { TRACE_FIELDS } from '../../platform/tracing/trace-context.ts';
import { membersOf } from './json-scanner.ts';

/**
 * Puts the trace into the `_meta` of a request (MCP 2026-07-28, basic: `traceparent`, `tracestate` and `baggage` are reserved there),
 * in place of what the client wrote under these names. All else stays as it came, byte for byte: parsed and written anew,
 * a number could become another one.
 *
 * @param body one JSON-RPC message that has been parsed without error
 * @returns the same body where it is no request, or has no place for it
 */
export function withTraceMeta(body: Buffer, { traceparent, tracestate }: TraceContext): Buffer {
  const text = body.toString();
  const message = membersOf(text, text.indexOf('{'));
  if (!message.some(({ key }) => key === 'method') || !message.some(({ key }) => key === 'id')) return body;
  const fields = Object.entries({ traceparent, ...(tracestate === undefined ? {} : { tracestate }) })
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .join(',');
  const params = message.find(({ key }) => key === 'params');
  if (params === undefined) {
    const first = message[0]?.start ?? 0;
    return Buffer.from(`${text.slice(0, first)}"params":{"_meta":{${fields}}},${text.slice(first)}`);
  }
  if (text[params.value] !== '{') return body;
  const inside = membersOf(text, params.value);
  const meta = inside.find(({ key }) => key === '_meta');
  if (meta === undefined) {
    const at = params.value + 1;
    const comma = inside.length === 0 ? '' : ',';
    return Buffer.from(`${text.slice(0, at)}"_meta":{${fields}}${comma}${text.slice(at)}`);
  }
  if (text[meta.value] !== '{') return body;
  const kept = membersOf(text, meta.value)
    .filter(({ key }) => !TRACE_FIELDS.has(key.toLowerCase()))
    .map(({ start, end }) => text.slice(start, end));
  return Buffer.from(`${text.slice(0, meta.value)}{${[fields, ...kept].join(',')}}${text.slice(meta.end)}`);
}
