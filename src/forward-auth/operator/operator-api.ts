import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PosternError } from '../../platform/errors.ts';
import { sendJson } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';

export interface OperatorAnswer {
  readonly status: number;
  readonly body: object;
}

/** One thing that an operator may do. */
export interface OperatorRoute {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** First segment of the path, such as `sessions`. */
  readonly collection: string;
  /** Whether the path goes on with one more segment: `/sessions/<item>`. */
  readonly item: boolean;
  /** @param item decoded; empty where there is none */
  handle(item: string, query: URLSearchParams, request: IncomingMessage): Promise<OperatorAnswer>;
}

export interface OperatorApi {
  /** Absent: nobody may do anything. */
  readonly token: string | undefined;
  readonly routes: readonly OperatorRoute[];
  readonly log: Logger;
}

const PATH = /^\/([a-z-]+)(?:\/([\w.~-]{1,128}))?$/;

/** What operators do by HTTP, on the internal listener. @returns whether the request was one for it */
export function createOperatorApi({ token, routes, log }: OperatorApi) {
  const collections = new Set(routes.map(({ collection }) => collection));
  const expected = token === undefined ? undefined : digest(token);
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const collection = path.split('/')[1] ?? '';
    if (!collections.has(collection)) return false;
    if (expected === undefined) {
      refuse(response, 404, 'not_enabled', 'set auth.operatorToken to list and end sessions here');
      return true;
    }
    if (!mayOperate(request.headers.authorization, expected)) {
      const headers = { 'WWW-Authenticate': 'Bearer' };
      refuse(response, 401, 'invalid_token', 'send Authorization: Bearer with auth.operatorToken', headers);
      return true;
    }
    const match = PATH.exec(path);
    const here = routes.filter((route) => route.collection === match?.[1] && route.item === (match[2] !== undefined));
    const route = here.find(({ method }) => method === request.method);
    if (route !== undefined) {
      const answer = route.handle(match?.[2] ?? '', new URLSearchParams(query), request);
      answer.then(
        ({ status, body }) => sendJson(response, status, body),
        (error) => failed(response, error, log),
      );
    } else if (here.length > 0) {
      const allow = here.map(({ method }) => method).join(', ');
      refuse(response, 405, 'method_not_allowed', `use ${allow}`, { Allow: allow });
    } else refuse(response, 404, 'not_found', `there is /${collection} and, for one of them, /${collection}/<key>`);
    return true;
  };
}

export function badRequest(description: string): OperatorAnswer {
  return { status: 400, body: { error: 'invalid_request', error_description: description } };
}

export function notFound(description: string): OperatorAnswer {
  return { status: 404, body: { error: 'not_found', error_description: description } };
}

/** Digests have one length, so that comparing takes as long for every text. */
function mayOperate(authorization: string | undefined, expected: Buffer): boolean {
  const given = /^bearer (.+)$/i.exec(authorization ?? '')?.[1];
  return given !== undefined && timingSafeEqual(digest(given), expected);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function failed(response: ServerResponse, error: unknown, log: Logger): void {
  if (error instanceof PosternError && error.expose) {
    const headers = error.status === 503 ? { 'Retry-After': '5' } : {};
    refuse(response, error.status, error.code, error.message, headers);
    return;
  }
  log.error({ error }, 'an operator’s request failed');
  refuse(response, 500, 'internal_error', 'the request failed; the log says why');
}

function refuse(
  response: ServerResponse,
  status: number,
  error: string,
  description: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendJson(response, status, { error, error_description: description }, headers);
}
