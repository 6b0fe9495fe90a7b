import type { TraceContext } from '../../platform/tracing/span.ts';
import { TRACE_FIELDS } from '../../platform/tracing/trace-context.ts';

interface Member {
  readonly key: string;
  /** Of the key's opening quote. */
  readonly start: number;
  /** Of the first character of the value. */
  readonly value: number;
  /** Behind the last character of the value. */
  readonly end: number;
}

const SPACE = /[\t\n\r ]/;

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
  const message = members(text, text.indexOf('{'));
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
  const inside = members(text, params.value);
  const meta = inside.find(({ key }) => key === '_meta');
  if (meta === undefined) {
    const at = params.value + 1;
    const comma = inside.length === 0 ? '' : ',';
    return Buffer.from(`${text.slice(0, at)}"_meta":{${fields}}${comma}${text.slice(at)}`);
  }
  if (text[meta.value] !== '{') return body;
  const kept = members(text, meta.value)
    .filter(({ key }) => !TRACE_FIELDS.has(key.toLowerCase()))
    .map(({ start, end }) => text.slice(start, end));
  return Buffer.from(`${text.slice(0, meta.value)}{${[fields, ...kept].join(',')}}${text.slice(meta.end)}`);
}

/** @param open of the brace with which the object begins */
function members(text: string, open: number): Member[] {
  const found: Member[] = [];
  let at = skipSpace(text, open + 1);
  while (text[at] === '"') {
    const start = at;
    const keyEnd = endOfString(text, at);
    const value = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, value);
    found.push({ key: JSON.parse(text.slice(start, keyEnd)) as string, start, value, end });
    at = skipSpace(text, end);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return found;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && SPACE.test(text[at] as string)) at += 1;
  return at;
}

/** @returns behind the closing quote */
function endOfString(text: string, open: number): number {
  let at = open + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function endOfValue(text: string, from: number): number {
  const first = text[from];
  if (first === '"') return endOfString(text, from);
  let at = from;
  if (first !== '{' && first !== '[') {
    while (at < text.length && !/[,\]}\t\n\r ]/.test(text[at] as string)) at += 1;
    return at;
  }
  for (let depth = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at) - 1;
    else if (character === '{' || character === '[') depth += 1;
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1;
  }
  return at;
}
