import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { nestsDeeper } from '../../../platform/json-depth.ts';
import { withoutEmptyMembers } from './present-members.ts';

/** Of arrays and objects within each other; a key set has three. */
const MAX_DEPTH = 8;

/** RFC 7591 §3.2.2. */
export interface RegistrationRefusal {
  readonly status: 400 | 413;
  readonly description: string;
}

/**
 * Reads what a client registers before the library does, which would take and keep 56 KiB, and run out of stack over deep nesting.
 *
 * @param maxSize bytes
 * @returns the same request with its body still to be read
 */
export async function readRegistration(
  req: IncomingMessage,
  maxSize: number,
): Promise<IncomingMessage | RegistrationRefusal> {
  const { socket } = req;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxSize)
      return {
        status: 413,
        description: `the metadata is longer than ${maxSize} bytes (auth.broker.registration.maxSize)`,
      };
    chunks.push(chunk);
  }
  const type = req.headers['content-type'];
  if (!/^application\/json\s*(?:;|$)/i.test(type ?? ''))
    return {
      status: 400,
      description: `send the metadata with Content-Type: application/json; it came ${type === undefined ? 'without one' : 'with another'}`,
    };
  const text = Buffer.concat(chunks).toString('utf8');
  if (nestsDeeper(text, MAX_DEPTH))
    return { status: 400, description: `the metadata is nested deeper than ${MAX_DEPTH} arrays and objects` };
  return withBody(req, socket, Buffer.from(withoutEmptyMembers(text)));
}

function withBody(req: IncomingMessage, socket: Socket, body: Buffer): IncomingMessage {
  const copy = new IncomingMessage(socket);
  const { method, url, headers, rawHeaders, httpVersion } = req;
  const { 'transfer-encoding': _chunked, ...others } = headers;
  const own = { ...others, 'content-length': String(body.length) };
  Object.assign(copy, { method, url, headers: own, rawHeaders, httpVersion, complete: true });
  copy.push(body);
  copy.push(null);
  return copy;
}
