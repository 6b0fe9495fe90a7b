import { isRecord } from '../../platform/is-record.ts';
import type { Era } from './era.ts';
import type { Malformed } from './malformed.ts';
import type { Message } from './message.ts';

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
/** Methods whose object is mirrored into `Mcp-Name`, and the parameter that holds it (2026-07-28, streamable HTTP). */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
]);

/**
 * Compares the mirrored headers with the body. Whoever stands before the relay may have decided by the headers alone, so
 * they must not lie: a modern request must have them, a legacy one must at least not contradict itself.
 */
export function headerMismatch(
  era: Era,
  header: (lowerCaseName: string) => string | undefined,
  message: Message,
): Malformed | undefined {
  const meta = message.params._meta;
  const inBody = isRecord(meta) ? meta[VERSION_KEY] : undefined;
  if (inBody !== undefined && inBody !== header('mcp-protocol-version'))
    return mismatch('MCP-Protocol-Version and the version in the body differ');

  const method = header('mcp-method');
  if (method === undefined ? era === 'modern' : method !== message.method)
    return mismatch(method === undefined ? 'Mcp-Method is missing' : 'Mcp-Method and the method in the body differ');

  const parameter = message.method === undefined ? undefined : NAMED.get(message.method);
  if (parameter === undefined) return undefined;
  const name = header('mcp-name');
  if (name === undefined) return era === 'modern' ? mismatch('Mcp-Name is missing') : undefined;
  return decodeName(name) === message.params[parameter]
    ? undefined
    : mismatch(`Mcp-Name and "${parameter}" in the body differ`);
}

/** A name that does not fit a header field comes as `=?base64?…?=`. */
function decodeName(value: string): string {
  const encoded = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(value)?.[1];
  return encoded === undefined ? value : Buffer.from(encoded, 'base64').toString();
}

function mismatch(message: string): Malformed {
  return { status: 400, reason: 'header_mismatch', message, code: -32020 };
}
