import type { IncomingMessage } from 'node:http';
import type { Refusal } from '../../refusal.ts';

export type Body = { kind: 'body'; bytes: Buffer } | { kind: 'refused'; refusal: Refusal } | { kind: 'gone' };

/**
 * Reads a request's body whole, because what it says must be known before any server is asked.
 *
 * @param limit bytes
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else {
        chunks.length = 0;
        resolve({ kind: 'refused', refusal: tooLarge(limit) });
      }
    });
    request.on('end', () => {
      // MCP has no use for trailers, and one that arrives after the headers were judged escapes the judgement.
      if (request.rawTrailers.length > 0) resolve({ kind: 'refused', refusal: TRAILERS });
      else resolve({ kind: 'body', bytes: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks) });
    });
    request.on('close', () => resolve({ kind: 'gone' }));
  });
}

export function tooLarge(limit: number): Refusal {
  return {
    status: 413,
    reason: 'body_too_large',
    message: `the request body is larger than ${limit} bytes`,
    fix: 'raise relay.limits.body if such messages are wanted',
    headers: { Connection: 'close' },
  };
}

const TRAILERS: Refusal = {
  status: 400,
  reason: 'header_trailer',
  message: 'trailers after the body are not accepted',
  fix: 'no MCP client sends trailers; look at who sent this',
};
