import { isRecord } from '../../platform/is-record.ts';
import { type ClientFacts, FIRST_MODERN, META } from './client-facts.ts';
import type { Json } from './json-rpc.ts';

/** Methods whose object is mirrored into `Mcp-Name` (2026-07-28, streamable HTTP). */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
]);

/** What a stateless request has to say of its client beside its own parameters. */
export function withEnvelope(params: Json, { capabilities, clientInfo, protocolVersion }: ClientFacts): Json {
  const meta = isRecord(params._meta) ? params._meta : {};
  return {
    ...params,
    _meta: {
      [`${META}clientInfo`]: clientInfo,
      [`${META}clientCapabilities`]: capabilities,
      ...meta,
      [`${META}protocolVersion`]: protocolVersion >= FIRST_MODERN ? protocolVersion : FIRST_MODERN,
    },
  };
}

/** Parameters or a result without what only the stateless era says in `_meta`. */
export function withoutEnvelope(content: Json): Json {
  if (!isRecord(content._meta)) return content;
  const meta = Object.fromEntries(Object.entries(content._meta).filter(([key]) => !key.startsWith(META)));
  const { _meta: _, ...rest } = content;
  return Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
}

/** The header fields that mirror a stateless request, names and values in turn. */
export function mirroredHeaders(method: string, params: Json): string[] {
  const meta = isRecord(params._meta) ? params._meta : {};
  const version = String(meta[`${META}protocolVersion`] ?? FIRST_MODERN);
  const headers = ['mcp-protocol-version', version, 'mcp-method', fieldText(method)];
  const name = params[NAMED.get(method) ?? ''];
  if (typeof name === 'string') headers.push('mcp-name', fieldText(name));
  return headers;
}

/** A text that does not fit a header field goes as `=?base64?…?=`. */
export function fieldText(text: string): string {
  const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith('=?');
  return plain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}
