import { isRecord } from '../../platform/is-record.ts';
import { Cancelled, NoAnswer, ServerError, SessionLost } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';

/** What an MCP server was asked for another replica failed with, as that one is told. */
export function failureJson(error: unknown): Json {
  if (error instanceof ServerError) return { error: error.json };
  if (error instanceof NoAnswer) return { status: error.status };
  if (error instanceof SessionLost) return { session: 'lost' };
  if (error instanceof Cancelled) return { cancelled: error.reason ?? '' };
  return { message: error instanceof Error ? error.message : 'unknown error' };
}

/** The error again; one that is no MCP server's says only what it is. */
export function failureFrom({ error, status, session, cancelled, message }: Json): Error {
  if (isRecord(error)) return new ServerError(Number(error.code), String(error.message), error.data);
  if (typeof status === 'number') return new NoAnswer(status);
  if (session === 'lost') return new SessionLost();
  if (typeof cancelled === 'string') return new Cancelled(cancelled);
  return new Error(`the other replica failed: ${message}`);
}
