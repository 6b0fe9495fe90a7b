import { readFieldText } from '../../identity/mcp-field-text.ts';
import { HEADER_MISMATCH } from './error-codes.ts';
import type { Json } from './json-rpc.ts';
import type { Malformed } from './malformed.ts';
import type { Message } from './message.ts';
import { metaOf, VERSION_KEY } from './meta.ts';
import { NAME_PARAMETERS } from './methods.ts';
import { type Era, FIRST_MODERN } from './versions.ts';

/** The header fields that mirror a stateless request, names and values in turn. */
export function mirroredHeaders(method: string, params: Json): string[] {
  const version = String(metaOf(params)[VERSION_KEY] ?? FIRST_MODERN);
  const headers = ['mcp-protocol-version', version, 'mcp-method', fieldText(method)];
  const name = params[NAME_PARAMETERS.get(method) ?? ''];
  if (typeof name === 'string') headers.push('mcp-name', fieldText(name));
  return headers;
}

/**
 * Compares the mirrored headers with the body. Whoever stands before the relay may have decided by the headers alone, so
 * they must not lie: a modern request must have them, a legacy one must at least not contradict itself.
 */
export function headerMismatch(
  era: Era,
  header: (lowerCaseName: string) => string | undefined,
  message: Message,
): Malformed | undefined {
  const inBody = metaOf(message.params)[VERSION_KEY];
  if (inBody !== undefined && inBody !== header('mcp-protocol-version'))
    return mismatch('MCP-Protocol-Version and the version in the body differ');

  const method = textOf('Mcp-Method', header);
  if (typeof method === 'object') return method;
  if (method === undefined ? era === 'modern' : method !== message.method)
    return mismatch(method === undefined ? 'Mcp-Method is missing' : 'Mcp-Method and the method in the body differ');

  const parameter = NAME_PARAMETERS.get(message.method);
  if (parameter === undefined) return undefined;
  const name = textOf('Mcp-Name', header);
  if (typeof name === 'object') return name;
  if (name === undefined) return era === 'modern' ? mismatch('Mcp-Name is missing') : undefined;
  return name === message.params[parameter] ? undefined : mismatch(`Mcp-Name and "${parameter}" in the body differ`);
}

/** A text that does not fit a header field goes as `=?base64?…?=`. */
export function fieldText(text: string): string {
  const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith('=?');
  return plain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}

function textOf(
  name: 'Mcp-Method' | 'Mcp-Name',
  header: (lowerCaseName: string) => string | undefined,
): string | undefined | Malformed {
  const value = header(name.toLowerCase());
  const text = value === undefined ? undefined : readFieldText(value);
  return typeof text === 'object' ? mismatch(`${name} ${text.problem}`) : text;
}

/** The refusal of a request whose header fields and body differ. */
export function mismatch(message: string): Malformed {
  return { status: 400, reason: 'header_mismatch', message, code: HEADER_MISMATCH };
}
