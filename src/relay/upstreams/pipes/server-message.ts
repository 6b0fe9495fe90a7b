import { isRecord } from '../../../platform/is-record.ts';
import { parseJson, writeJson } from '../../protocol/json.ts';
import { type Id, isId, type Json } from '../../protocol/json-rpc.ts';
import { nestsTooDeep } from '../../protocol/nesting.ts';

/** What a server sent: a message of the protocol by its kind, or something else. */
export type ServerMessage =
  | { readonly kind: 'response'; readonly message: Json }
  | { readonly kind: 'request'; readonly id: Id; readonly method: string; readonly message: Json }
  | { readonly kind: 'notification'; readonly method: string; readonly message: Json }
  | { readonly kind: 'stray'; readonly text: string };

/** @param text one message, or a batch (2025-03-26); programs print other things too */
export function readServerMessages(text: string): readonly ServerMessage[] {
  const value = parseMessage(text);
  if (value === undefined || nestsTooDeep(text)) return [{ kind: 'stray', text }];
  return (Array.isArray(value) ? value : [value]).map((message): ServerMessage => {
    if (!isRecord(message)) return { kind: 'stray', text: writeJson(message) };
    const { id, method } = message;
    if (typeof method !== 'string') return { kind: 'response', message };
    return isId(id) ? { kind: 'request', id, method, message } : { kind: 'notification', method, message };
  });
}

/** @returns undefined for what is no JSON; some programs begin with a byte order mark */
export function parseMessage(text: string): unknown {
  try {
    return parseJson(text.startsWith('\ufeff') ? text.slice(1) : text);
  } catch {
    return undefined;
  }
}
