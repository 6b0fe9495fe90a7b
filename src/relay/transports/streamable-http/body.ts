import type { IncomingMessage } from 'node:http';
import type { Hold } from '../../gate/budgets/budgets.ts';
import { weightOf } from '../../protocol/json-weight.ts';
import type { Refusal } from '../../refusal.ts';
import { turnFor } from '../turns.ts';

export type Body = { kind: 'body'; bytes: Buffer } | { kind: 'refused'; refusal: Refusal } | { kind: 'gone' };

/** Another charset would make the server read other text than was judged here. */
const JSON_IN_UTF8 = /^application\/json *(?:; *charset="?utf-8"? *)?$/i;
const CONTENT_TYPE: Refusal = {
  status: 415,
  reason: 'content_type',
  message: 'Content-Type must be application/json, in UTF-8',
};

/**
 * Reads the body of a message whole, because what it says must be known before any server is asked.
 *
 * @param contentType as it was judged; undefined where there is none
 * @param limit bytes
 * @param hold counts what has arrived, so that many slow bodies are refused before they are whole
 */
export function readBody(
  request: IncomingMessage,
  contentType: string | undefined,
  limit: number,
  hold: Pick<Hold, 'add'>,
): Promise<Body> {
  if (!JSON_IN_UTF8.test(contentType ?? '')) return refused(CONTENT_TYPE);
  if (Number(request.headers['content-length'] ?? 0) > limit) return refused(tooLarge(limit));
  return collect(request, limit, hold);
}

function refused(refusal: Refusal): Promise<Body> {
  return Promise.resolve({ kind: 'refused', refusal });
}

function collect(request: IncomingMessage, limit: number, hold: Pick<Hold, 'add'>): Promise<Body> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let refusal: Refusal | undefined;
    request.on('data', (chunk: Buffer) => {
      if (refusal !== undefined) return;
      size += chunk.length;
      refusal = size > limit ? tooLarge(limit) : hold.add({ requestBytes: chunk.length });
      if (refusal === undefined) return void chunks.push(chunk);
      chunks.length = 0;
      // The rest of it is not wanted either.
      resolve({ kind: 'refused', refusal: { ...refusal, headers: { ...refusal.headers, Connection: 'close' } } });
    });
    request.on('end', () => {
      // MCP has no use for trailers, and one that arrives after the headers were judged escapes that check.
      if (request.rawTrailers.length > 0) return resolve({ kind: 'refused', refusal: TRAILERS });
      if (refusal !== undefined) return;
      const take = () => {
        const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
        const tooMuch = hold.add({ requestBytes: weightOf(bytes) - size });
        resolve(tooMuch === undefined ? { kind: 'body', bytes } : { kind: 'refused', refusal: tooMuch });
      };
      const turn = turnFor(size);
      if (turn === undefined) return take();
      turn.then(() => (request.socket.destroyed ? resolve({ kind: 'gone' }) : take())).catch(reject);
    });
    request.on('close', () => {
      if (!request.readableEnded) resolve({ kind: 'gone' });
    });
  });
}

function tooLarge(limit: number): Refusal {
  return {
    status: 413,
    reason: 'body_too_large',
    message: `the request body is larger than ${limit} bytes`,
    fix: 'raise relay.limits.maxBody if such messages are wanted',
  };
}

const TRAILERS: Refusal = {
  status: 400,
  reason: 'header_trailer',
  message: 'trailers after the body are not accepted',
  fix: 'no MCP client sends trailers; look at who sent this',
};
