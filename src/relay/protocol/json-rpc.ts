import { JsonNumber } from './json.ts';
/** A JSON-RPC message, taken apart. */
export type Json = Readonly<Record<string, unknown>>;
export type Id = string | number | JsonNumber;
/** Of a message whose id could not be read: null (JSON-RPC 2.0 §5). */
export type MessageId = Id | null;

export function isId(value: unknown): value is Id {
  return typeof value === 'string' || typeof value === 'number' || value instanceof JsonNumber;
}

/** Whether two ids are the same; `1` and `1.0` are, and come back from servers in either form. */
export function isSameId(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one === 'string' || typeof other === 'string' || !isId(one) || !isId(other)) return false;
  return Number.isSafeInteger(Number(one)) && Number(one) === Number(other);
}

/** The same key for ids that are the same, as `isSameId` tells; what is no id is its own. */
export function idKey(id: unknown): unknown {
  if (typeof id === 'string' || !isId(id)) return id;
  const number = Number(id);
  return Number.isSafeInteger(number) ? number : id;
}

export function errorMessage(id: MessageId, code: number, message: string, data?: Json): Json {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } };
}
