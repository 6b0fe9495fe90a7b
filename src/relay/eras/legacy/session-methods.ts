import { isRecord } from '../../../platform/is-record.ts';
import { INVALID_PARAMS } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import type { SessionMemory } from './session-memory.ts';

/** Levels of logs, the least severe first (server/utilities/logging). */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** Requests about the session itself, which the relay answers. */
export const SESSION_METHODS: ReadonlySet<unknown> = new Set([
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

/**
 * Applies a request about the session.
 *
 * @returns the result of a request
 * @throws ServerError where it cannot be done, as `post` does where the server's stream cannot be begun anew
 */
export async function applySessionMethod({ method, params }: Json, memory: SessionMemory): Promise<Json> {
  const { level, uri } = isRecord(params) ? params : {};
  switch (method) {
    case 'logging/setLevel':
      if (typeof level !== 'string' || !LEVELS.includes(level))
        throw new ServerError(INVALID_PARAMS, `"level" must be one of ${LEVELS.join(', ')}`);
      memory.level = level;
      return {};
    case 'resources/subscribe':
      return subscribe(uri, memory);
    default:
      if (typeof uri === 'string' && memory.unsubscribe(uri)) await memory.listener?.relisten();
      return {};
  }
}

/**
 * Takes a notification of the client, or its answer to a question.
 *
 * @returns false where it is about something that is not in this process
 */
export function onClientMessage(message: Json, memory: SessionMemory): boolean {
  const { method, params } = message;
  if (method === undefined) return memory.answered(message);
  if (method === 'notifications/cancelled' && isRecord(params)) return memory.running.cancel(params);
  return true;
}

async function subscribe(uri: unknown, memory: SessionMemory): Promise<Json> {
  if (typeof uri !== 'string') throw new ServerError(INVALID_PARAMS, '"uri" must name a resource');
  const isNew = memory.subscribe(uri);
  let told: ReadonlySet<string> | undefined;
  try {
    told = await memory.listener?.relisten();
  } catch (error) {
    // What the client is told that it failed must not come after all.
    if (isNew) memory.unsubscribe(uri);
    throw error;
  }
  if (told === undefined || told.has(uri)) return {};
  memory.unsubscribe(uri);
  throw new ServerError(INVALID_PARAMS, 'the MCP server does not tell when this resource changes');
}
