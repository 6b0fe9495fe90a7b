/** A JSON-RPC message, taken apart. */
export type Json = Readonly<Record<string, unknown>>;
export type Id = string | number;
/** Of a message whose id could not be read: null (JSON-RPC 2.0 §5). */
export type MessageId = Id | null;

export function isId(value: unknown): value is Id {
  return typeof value === 'string' || typeof value === 'number';
}

/** JSON-RPC error codes (JSON-RPC 2.0 §5.1). */
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const SERVER_ERROR = -32000;
/** What MCP servers say of a session that they do not know. */
export const NO_SESSION = -32001;
/** basic/transports, 2026-07-28: the revision is not spoken here. */
export const UNSUPPORTED_VERSION = -32022;

export function errorMessage(id: MessageId, code: number, message: string, data?: Json): Json {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } };
}
