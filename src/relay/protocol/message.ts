import { isUtf8 } from 'node:buffer';
import { isRecord } from '../../platform/is-record.ts';
import { INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR } from './error-codes.ts';
import { JsonNumber } from './json.ts';
import type { Id, MessageId } from './json-rpc.ts';
import { membersOf } from './json-scanner.ts';
import type { Malformed } from './malformed.ts';
import { isTooLongId, tooLong } from './message-bounds.ts';
import { ambiguousKey } from './message-keys.ts';
import { MAX_ID } from './name-bounds.ts';
import { MAX_NESTING, nestsTooDeep } from './nesting.ts';

/** What the relay needs to know of a JSON-RPC message; the bytes themselves go on unchanged. */
export interface Message {
  /** Undefined for a notification. */
  readonly id: MessageId | undefined;
  /** Undefined for a response to the server. */
  readonly method: string | undefined;
  readonly params: Readonly<Record<string, unknown>>;
}

export type ParsedMessage = { message: Message } | { refusal: Malformed; id: MessageId };

/** Reads one JSON-RPC 2.0 message. Batches are gone from MCP since 2025-06-18. */
export function parseMessage(bytes: Buffer): ParsedMessage {
  let value: unknown;
  const text = bytes.toString();
  try {
    if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8');
    value = JSON.parse(text);
  } catch {
    return invalid('invalid_json', PARSE_ERROR, 'the body is not JSON', null);
  }
  if (Array.isArray(value))
    return invalid('batch', INVALID_REQUEST, 'batches are not supported: send one message a request', null);
  if (!isRecord(value)) return invalid('invalid_message', INVALID_REQUEST, 'the body is not a JSON-RPC message', null);
  const { id, method, params } = value;
  const exact = typeof id === 'string' || typeof id === 'number' ? exactId(id, text) : null;
  const known = isTooLongId(exact) ? null : exact;
  if (value.jsonrpc !== '2.0') return invalid('invalid_message', INVALID_REQUEST, '"jsonrpc" must be "2.0"', known);
  if (nestsTooDeep(text))
    return invalid(
      'invalid_message',
      INVALID_REQUEST,
      `the message is nested deeper than ${MAX_NESTING} levels`,
      known,
    );
  if (ambiguousKey(text) !== undefined)
    return invalid(
      'invalid_message',
      INVALID_REQUEST,
      'a key of the message comes twice or in another spelling',
      known,
    );
  // Only an error may have none (basic, requests).
  if (id !== undefined && known === null && !(id === null && method === undefined))
    return invalid(
      'invalid_message',
      INVALID_REQUEST,
      `"id" must be a number or a string, of at most ${MAX_ID} characters`,
      null,
    );
  if (method === undefined ? !('result' in value || 'error' in value) || id === undefined : typeof method !== 'string')
    return invalid(
      'invalid_message',
      INVALID_REQUEST,
      'the body is not a JSON-RPC request, notification or response',
      known,
    );
  const long = tooLong(value);
  if (long !== undefined) return invalid('invalid_message', INVALID_PARAMS, long, known);
  return {
    message: {
      id: id === undefined ? undefined : known,
      method: method as string | undefined,
      params: isRecord(params) ? params : {},
    },
  };
}

/** An id beyond 2^53 goes back as it came. */
function exactId(id: string | number, text: string): Id {
  if (typeof id === 'string' || Number.isSafeInteger(id)) return id;
  const member = membersOf(text, text.indexOf('{')).findLast(({ key }) => key === 'id');
  return member === undefined ? id : JsonNumber.of(text.slice(member.value, member.end));
}

function invalid(reason: Malformed['reason'], code: number, message: string, id: MessageId): ParsedMessage {
  return { refusal: { status: 400, reason, message, code }, id };
}
