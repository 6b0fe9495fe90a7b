import { readFieldText } from '../../identity/mcp-field-text.ts';
import { looseName } from '../../platform/names.ts';
import { type CheckRequest, DUPLICATED, type RequestHeaders } from './request.ts';

/** First revision whose `Mcp-Method` and `Mcp-Name` mirror the body, and whose server refuses a mismatch. */
const FIRST_WITH_HEADERS = '2026-07-28';
/** The headers by which a message is judged. */
const JUDGED = ['MCP-Protocol-Version', 'Mcp-Method', 'Mcp-Name'] as const;
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
  // RFC 9110 §17.10: a server that folds names would go by the other one.
  for (const name of JUDGED)
    if (request.headers.hasAlias(name.toLowerCase())) return `${name} came in another spelling`;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(version) || version < FIRST_WITH_HEADERS) return HIDDEN;
  const method = readText(request.headers, 'Mcp-Method');
  if (typeof method === 'object') return method.problem;
  if (method === undefined) return 'Mcp-Method is missing';
  const name = readText(request.headers, 'Mcp-Name');
  if (typeof name === 'object') return name.problem;
  // Read as a careless server reads it, or what it works on would be seen by nobody.
  const named = NAMED_METHODS.get(looseName(method));
  if (named === undefined) return { method, tool: undefined };
  if (name === undefined) return 'Mcp-Name is missing';
  return named === 'tool' ? { method, tool: name } : { method, tool: undefined, [named]: name };
}

function readText(headers: RequestHeaders, name: 'Mcp-Method' | 'Mcp-Name'): string | undefined | { problem: string } {
  const value = headers.get(name.toLowerCase());
  if (value === undefined) return undefined;
  if (value === DUPLICATED) return { problem: `${name} came more than once` };
  const text = readFieldText(value);
  return typeof text === 'string' ? text : { problem: `${name} ${text.problem}` };
}
