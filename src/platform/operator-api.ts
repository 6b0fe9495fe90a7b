import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuditLog } from './audit/audit-log.ts';
import { PosternError } from './errors.ts';
import { requestId, sendJson } from './http.ts';
import type { Logger } from './log.ts';
import { createSecretCheck } from './secret-check.ts';

export interface OperatorAnswer {
  readonly status: number;
  readonly body: object;
}

export interface OperatorRequest {
  /** First group of the path; empty where it matched nothing. */
  readonly id: string;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined where the request had none. */
  readonly body: unknown;
}

/** One thing that an operator may do. */
export interface OperatorRoute {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Of the whole path, in the process's own area; its first group is `id`. */
  readonly path: RegExp;
  /** @throws PosternError with the status and what may be shown */
  handle(request: OperatorRequest): Promise<OperatorAnswer>;
}

/** Where the operator's paths of one process are, and what to say of them. */
export interface OperatorArea {
  readonly paths: RegExp;
  /** The key of the token in the configuration. */
  readonly tokenKey: string;
  readonly help: string;
}

const AUTH_AREA: OperatorArea = {
  paths: /^\/(?:sessions|people|suspensions|api-keys|oauth|denials)(?:\/|$)/,
  tokenKey: 'auth.operatorToken',
  help: 'postern sessions --help',
};

export interface OperatorApi {
  /** Absent: that of forward-auth. */
  readonly area?: OperatorArea;
  /** Absent: nobody may do anything. */
  readonly token: readonly string[] | undefined;
  readonly routes: readonly OperatorRoute[];
  readonly audit?: AuditLog | undefined;
  /** Told of who came without the token, or with another one. @param address empty where it is unknown */
  readonly onRefused?: (address: string) => void;
  readonly log: Logger;
}

/** Bytes. */
const MAX_BODY = 65_536;

/** What operators do by HTTP, on the internal listener. @returns undefined where the request is not for it */
export function createOperatorApi({ area = AUTH_AREA, token, routes, audit, onRefused, log }: OperatorApi) {
  const expected = token && createSecretCheck(token);
  return (request: IncomingMessage, response: ServerResponse): Promise<void> | undefined => {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (!area.paths.test(path)) return undefined;
    const here = routes.filter((route) => route.path.test(path));
    const route = here.find(({ method }) => method === request.method);
    // Before the answer, which may fail: what an operator tried is worth knowing too.
    response.once('close', () =>
      audit?.record({
        event: 'operator',
        outcome: response.statusCode < 400 ? 'done' : 'refused',
        action: request.method,
        object: path,
        reason: response.statusCode < 400 ? undefined : `status ${response.statusCode}`,
        client: request.socket.remoteAddress,
        requestId: requestId(request),
      }),
    );
    if (expected === undefined) {
      refuse(response, 404, 'not_enabled', `set ${area.tokenKey} to use this`);
    } else if (!expected(/^bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1])) {
      onRefused?.(request.socket.remoteAddress ?? '');
      const headers = { 'WWW-Authenticate': 'Bearer' };
      refuse(response, 401, 'invalid_token', `send Authorization: Bearer with ${area.tokenKey}`, headers);
    } else if (route !== undefined) {
      const id = route.path.exec(path)?.[1] ?? '';
      return readJson(request)
        .then((body) => route.handle({ id, query: new URLSearchParams(query), body }))
        .then(({ status, body }) => sendJson(response, status, body))
        .catch((error) => failed(response, error, log));
    } else if (here.length > 0) {
      const allow = here.map(({ method }) => method).join(', ');
      refuse(response, 405, 'method_not_allowed', `use ${allow}`, { Allow: allow });
    } else refuse(response, 404, 'not_found', `nothing is here: see \`${area.help}\``);
    return Promise.resolve();
  };
}

/** @throws PosternError 400, 413 @returns undefined where the body is empty */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  // Destroyed, it would take the connection with it, and the answer that its client waits for.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) {
      request.resume();
      throw new PosternError('too_large', `a request may have ${MAX_BODY} bytes`, { status: 413, expose: true });
    }
    parts.push(part);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw new PosternError('invalid_request', 'the body must be JSON', { status: 400, expose: true });
  }
}

export function badRequest(description: string): OperatorAnswer {
  return { status: 400, body: { error: 'invalid_request', error_description: description } };
}

export function notFound(description: string): OperatorAnswer {
  return { status: 404, body: { error: 'not_found', error_description: description } };
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
