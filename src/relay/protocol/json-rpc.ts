/** A JSON-RPC message, taken apart. */
export type Json = Readonly<Record<string, unknown>>;
export type Id = string | number;
/** Of a message whose id could not be read: null (JSON-RPC 2.0 §5). */
export type MessageId = Id | null;

export function isId(value: unknown): value is Id {
  return typeof value === 'string' || typeof value === 'number';
}

export function errorMessage(id: MessageId, code: number, message: string, data?: Json): Json {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } };
}
