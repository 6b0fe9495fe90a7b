import type { ServerResponse } from 'node:http';
import { sendJsonText } from '../../../platform/http.ts';
import { SERVER_ERROR } from '../../protocol/error-codes.ts';
import { writeJson } from '../../protocol/json.ts';
import type { MessageId } from '../../protocol/json-rpc.ts';
import type { Refusal } from '../../refusal.ts';

/** The JSON-RPC error that says it (JSON-RPC 2.0 §5.1), or the question that it asks. */
export function errorOf(refusal: Refusal, id: MessageId): object {
  if (refusal.result !== undefined) return { jsonrpc: '2.0', id, result: refusal.result };
  const error = {
    code: refusal.code ?? SERVER_ERROR,
    message: refusal.message,
    ...(refusal.data === undefined ? {} : { data: refusal.data }),
  };
  return { jsonrpc: '2.0', error, id };
}

/** Answers with a JSON-RPC error, the form that every MCP client can show to its user. */
export function sendRefusal(response: ServerResponse, refusal: Refusal, id: MessageId): void {
  sendJsonText(response, refusal.status, writeJson(errorOf(refusal, id)), refusal.headers);
}
