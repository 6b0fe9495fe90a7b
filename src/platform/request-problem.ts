import { STATUS_CODES } from 'node:http';
import { isForPerson, type WindowRequest } from './navigation.ts';
import type { RenderedPage } from './pages/page.ts';
import type { UnreadableRequest } from './pages/unreadable-request.ts';

/** @param accepted `Accept-Language` of the request */
export type ProblemPage = (accepted: string, problem: UnreadableRequest) => RenderedPage;

/** What is wrong with a request before it comes to any handler, or with the handler. */
export interface RequestProblem {
  readonly status: UnreadableRequest['status'] | 408;
  readonly error: string;
  readonly description: string;
}

/** What is known of a request. */
interface KnownRequest extends WindowRequest {
  readonly requestId?: string;
}

export const FAILED: RequestProblem = {
  status: 500,
  error: 'internal_error',
  description: 'the request failed; the log says why',
};

/** A page for a person, JSON for a program. @param request undefined: nothing of it was read */
export function problemAnswer(
  { status, error, description }: RequestProblem,
  request: KnownRequest | undefined,
  problemPage: ProblemPage | undefined,
): RenderedPage {
  if (request !== undefined && problemPage !== undefined && status !== 408 && isForPerson(request)) {
    const accepted = String(request.headers.get('accept-language') ?? '');
    return problemPage(accepted, { status, requestId: request.requestId });
  }
  return {
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify({ error, error_description: description }),
  };
}

/**
 * What Node's parser finds wrong.
 *
 * @param code of the parser's error
 * @param limits bytes, and milliseconds
 */
export function parserProblem(
  code: string | undefined,
  limits: { readonly maxHeaderSize: number; readonly requestTimeout: number },
): RequestProblem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        status: 431,
        error: 'headers_too_large',
        description: `the header fields of a request may have ${limits.maxHeaderSize} bytes together`,
      };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return {
        status: 408,
        error: 'request_timeout',
        description: `a request must arrive whole within ${limits.requestTimeout / 1_000} s`,
      };
    default:
      return { status: 400, error: 'bad_request', description: 'this is not a valid HTTP/1.1 request (RFC 9112)' };
  }
}

/**
 * The parser hands over no request, only the bytes that it read last, which mostly hold the fields. Without them nobody knows who asks,
 * which is always so for a request that was too slow: the answer is JSON.
 *
 * @returns the whole answer, as it goes on the wire
 */
export function unparsedAnswer(
  problem: RequestProblem,
  packet: Buffer | undefined,
  problemPage: ProblemPage | undefined,
): string {
  const { headers, body } = problemAnswer(problem, packet && looselyRead(packet), problemPage);
  const fields = { Connection: 'close', ...headers, 'Content-Length': Buffer.byteLength(body) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${body}`;
}

/** Only for the form of an answer: a request that cannot be parsed is believed in nothing else. */
function looselyRead(packet: Buffer): WindowRequest {
  const [line = '', ...lines] = packet.toString('latin1').split('\r\n');
  const fields = new Map<string, string>();
  for (const field of lines) {
    const colon = field.indexOf(':');
    if (colon > 0) fields.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
  }
  return { method: line.split(' ', 1)[0], headers: fields };
}
