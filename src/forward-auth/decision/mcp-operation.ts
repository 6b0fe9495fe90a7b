import { type CheckRequest, DUPLICATED, type RequestHeaders } from './request.ts';

/** First revision whose `Mcp-Method` and `Mcp-Name` mirror the body, and whose server refuses a mismatch. */
const FIRST_WITH_HEADERS = '2026-07-28';
/** Methods that name what they work on (basic/transports/streamable-http, 2026-07-28). */
const NAMED_METHODS: ReadonlyMap<string, 'tool' | 'prompt' | 'resource'> = new Map([
  ['tools/call', 'tool'],
  ['prompts/get', 'prompt'],
  ['resources/read', 'resource'],
]);

/** What a modern MCP request is about to do. */
export interface McpOperation {
  readonly method: string;
  /** The tool of a `tools/call`. */
  readonly tool: string | undefined;
  /** The prompt of a `prompts/get`. */
  readonly prompt?: string;
  /** URI of the resource of a `resources/read`. */
  readonly resource?: string;
}

/** A body that may do anything: only its reader knows what. */
export const HIDDEN = Symbol('operation in the body');

/**
 * Reads the operation from the headers of a modern request.
 *
 * @returns undefined where there is none (no POST); `HIDDEN` where only the body tells, as in a legacy revision, whose
 *   `Mcp-…` headers nobody compares with the body, and on a WebSocket; a text where the headers are contradictory
 */
export function readOperation(request: CheckRequest): McpOperation | typeof HIDDEN | undefined | string {
  // What goes over a WebSocket is seen by nobody here, whatever the upgrade says.
  if (request.method !== 'POST') return request.path.endsWith('/ws') ? HIDDEN : undefined;
  const version = request.headers.get('mcp-protocol-version');
  if (version === undefined) return HIDDEN;
  if (version === DUPLICATED) return 'MCP-Protocol-Version came more than once';
  if (!/^\d{4}-\d{2}-\d{2}$/.test(version) || version < FIRST_WITH_HEADERS) return HIDDEN;
  const method = request.headers.get('mcp-method');
  if (method === DUPLICATED) return 'Mcp-Method came more than once';
  if (method === undefined) return 'Mcp-Method is missing';
  const name = readName(request.headers);
  if (typeof name === 'object') return name.problem;
  const named = NAMED_METHODS.get(method);
  if (named === undefined) return { method, tool: undefined };
  if (name === undefined) return 'Mcp-Name is missing';
  return named === 'tool' ? { method, tool: name } : { method, tool: undefined, [named]: name };
}

function readName(headers: RequestHeaders): string | undefined | { problem: string } {
  const value = headers.get('mcp-name');
  if (value === undefined) return undefined;
  if (value === DUPLICATED) return { problem: 'Mcp-Name came more than once' };
  if (!value.startsWith('=?')) return value;
  const encoded = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/i.exec(value)?.[1];
  if (encoded === undefined) return { problem: 'Mcp-Name is in an unknown encoding' };
  const bytes = Buffer.from(encoded, 'base64');
  const text = bytes.toString('utf8');
  // One spelling of a name only, or a glob could be missed: the encoding must be the one that decodes to it.
  if (bytes.toString('base64') !== encoded || !Buffer.from(text).equals(bytes))
    return { problem: 'Mcp-Name is no base64 of UTF-8' };
  return text;
}
