import { INVALID_REQUEST, UNSUPPORTED_VERSION } from '../../protocol/error-codes.ts';
import type { Message } from '../../protocol/message.ts';
import { metaOf, VERSION_KEY } from '../../protocol/meta.ts';
import { eraOf, LEGACY_VERSIONS } from '../../protocol/versions.ts';
import type { Refusal } from '../../refusal.ts';

/** Messages of one connection, beside requests, that may be on their way to the server at a time. */
export const MAX_POSTS = 128;

export const TOO_MANY: Refusal = {
  status: 429,
  reason: 'too_many_requests',
  message: 'too many messages at once: read the stream of this connection, then go on',
  headers: { 'Retry-After': '1' },
};
export const DRAINING: Refusal = {
  status: 503,
  reason: 'draining',
  message: 'the relay is shutting down; reconnect',
};
export const ALREADY_INITIALIZED: Refusal = {
  status: 400,
  reason: 'invalid_message',
  message: 'this connection has its session already: open another one to initialize again',
  code: INVALID_REQUEST,
};

/** JSON-RPC 2.0 §4: the answers of two could not be told apart. */
export const ID_IN_USE: Refusal = {
  status: 400,
  reason: 'invalid_message',
  message: 'a request with this id waits for its answer',
  code: INVALID_REQUEST,
};

/** The stateless era has neither this transport nor sessions; whoever asks for it here is told what there is. */
export const MODERN_NOT_HERE: Refusal = {
  status: 400,
  reason: 'protocol_version',
  message: 'since 2026-07-28 the protocol is spoken over streamable HTTP only, at /servers/<name>/mcp',
  code: UNSUPPORTED_VERSION,
  data: { supported: LEGACY_VERSIONS },
};

/** A message that claims the stateless era, whose headers nobody could have compared with it. */
export function claimsModern(message: Message): boolean {
  const version = metaOf(message.params)[VERSION_KEY];
  return version !== undefined && (typeof version !== 'string' || eraOf(version) !== 'legacy');
}
