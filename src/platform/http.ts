import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import { PosternError } from './errors.ts';
import type { Logger } from './log.ts';
import { fieldsOf } from './navigation.ts';
import {
  FAILED,
  type ProblemPage,
  parserProblem,
  problemAnswer,
  type RequestProblem,
  unparsedAnswer,
} from './request-problem.ts';
import type { ListenerCredentials } from './tls.ts';

/** Proxies send a client's fields and a dozen of their own; Envoy takes 100 from a client, nginx and Traefik as many as fit. */
const MAX_HEADER_FIELDS = 300;

export interface HttpLimits {
  /** Bytes of all request headers together; more is answered 431. */
  readonly maxHeaderSize: number;
  /** Milliseconds until a request must have arrived whole. */
  readonly requestTimeout: number;
}

/** Answers a request, at once or later. What it throws, and what a promise that it returns rejects with, fails that request alone. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

export interface HttpServerOptions extends HttpLimits {
  /** Closed with the server. */
  readonly tls?: ListenerCredentials | undefined;
  readonly log?: Pick<Logger, 'error'>;
  /** What a person's browser gets instead of JSON; absent: JSON. */
  readonly problemPage?: ProblemPage | undefined;
}

/** A server with every limit set and nothing left to Node's defaults. Upgrades are not listened for. */
export function createHttpServer(
  { tls, log, problemPage, ...limits }: HttpServerOptions,
  handler: RequestHandler,
): Server {
  const options = {
    maxHeaderSize: limits.maxHeaderSize,
    requestTimeout: limits.requestTimeout,
    headersTimeout: Math.min(limits.requestTimeout, 15_000),
    // Node looks every 30 seconds, so that a limit of 30 seconds would be one of up to 60.
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, limits.requestTimeout / 10)),
    keepAliveTimeout: 75_000,
    insecureHTTPParser: false,
    requireHostHeader: true,
  };
  const bounded = guarded(
    (request, response) =>
      tooManyFields(request) ? refuseFields(request, response, problemPage) : handler(request, response),
    log,
    problemPage,
  );
  const server = tls === undefined ? createServer(options, bounded) : overTls(options, bounded, tls);
  // Past a count Node drops header fields without a word: it is told to stop one later than what is refused.
  server.maxHeadersCount = MAX_HEADER_FIELDS + 1;
  const answers = openAnswersOf(server);
  server.on('clientError', (error: NodeJS.ErrnoException & { readonly rawPacket?: Buffer }, socket) => {
    // A second answer in the midst of the first would be taken for a part of it.
    const begun = answers.get(socket as Socket)?.headersSent === true;
    if (begun || !socket.writable || /^ERR_(SSL|TLS)_/.test(error.code ?? '')) return void socket.destroy();
    const answer = unparsedAnswer(parserProblem(error.code, limits), error.rawPacket, problemPage);
    socket.end(answer, () => socket.destroy());
  });
  return server;
}

/** Nobody but the process would be left to catch it. */
function guarded(
  handler: RequestHandler,
  log: Pick<Logger, 'error'> | undefined,
  problemPage: ProblemPage | undefined,
): RequestHandler {
  const failed = (request: IncomingMessage, response: ServerResponse, error: unknown) => {
    log?.error({ error, requestId: requestId(request) }, 'a request failed unexpectedly');
    if (response.headersSent) return void response.destroy();
    request.resume();
    sendProblem(request, response, FAILED, problemPage);
  };
  return (request, response) => {
    try {
      const answering = handler(request, response);
      if (answering instanceof Promise) answering.catch((error: unknown) => failed(request, response, error));
    } catch (error) {
      failed(request, response, error);
    }
  };
}

/** A person gets a page, a program JSON. */
function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  problem: RequestProblem,
  problemPage: ProblemPage | undefined,
): void {
  const { method, headers } = request;
  const asked = { method, headers: fieldsOf(headers), requestId: requestId(request) };
  const { body, headers: described } = problemAnswer(problem, asked, problemPage);
  sendText(response, problem.status, body, described);
}

/** Whether a request has more header fields than are read: reading thousands of tiny ones costs milliseconds. */
export function tooManyFields({ rawHeaders }: WithHeaders): boolean {
  return rawHeaders.length > 2 * MAX_HEADER_FIELDS;
}

function refuseFields(request: IncomingMessage, response: ServerResponse, problemPage: ProblemPage | undefined): void {
  // What follows on this connection is not read either.
  response.shouldKeepAlive = false;
  request.resume();
  sendProblem(
    request,
    response,
    {
      status: 431,
      error: 'too_many_headers',
      description: `a request may have ${MAX_HEADER_FIELDS} header fields`,
    },
    problemPage,
  );
}

function overTls(options: object, listener: RequestHandler, tls: ListenerCredentials): Server {
  const server = createTlsServer({ ...options, ...tls.serverOptions() }, listener);
  tls.onChange((context) => server.setSecureContext(context));
  return server.once('close', () => tls.close());
}

/** An address that several workers share, or a Unix socket of this process alone. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * @param key of the address in the configuration, if it has one
 * @returns the port, which differs from the asked one where that was 0; 0 of a Unix socket
 * @throws PosternError where it cannot be opened
 */
export async function listen(server: NetServer, address: ListenAddress, key?: string): Promise<number> {
  const place = 'path' in address ? { ...address, exclusive: true } : address;
  const name = 'path' in address ? address.path : `${address.host}:${address.port}`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new PosternError('listen', `${key === undefined ? '' : `${key}: `}cannot listen on ${name}: ${cause.code}`, {
          expose: true,
          cause,
        }),
      ),
    );
    server.listen(place, resolve);
  });
  return 'path' in address ? 0 : (server.address() as AddressInfo).port;
}

/** Of each server: its connections, each with the answer that is open on it. */
const openAnswers = new WeakMap<Server, ReadonlyMap<Socket, ServerResponse | undefined>>();

/**
 * Answers are forgotten when they close: one that were kept until the next on its connection would outlive collections of young
 * garbage, with its request and all header texts, which took as long as the checks themselves. Only the value is cleared, not the
 * entry: a table out of which much is deleted is copied again and again, and each old copy keeps what stood in it until the next full
 * collection.
 */
function openAnswersOf(server: Server): ReadonlyMap<Socket, ServerResponse | undefined> {
  const answers = new Map<Socket, ServerResponse | undefined>();
  openAnswers.set(server, answers);
  // One function for all, which finds its response as `this`.
  function forget(this: ServerResponse): void {
    const { req } = this;
    const { socket } = req;
    // Whoever read it gave up, as at a form that is too large: what is left would keep the connection's next request waiting for ever.
    if (!req.complete) req.resume();
    // The next on the connection may have begun.
    if (answers.get(socket) === this) answers.set(socket, undefined);
  }
  function leave(this: Socket): void {
    answers.delete(this);
  }
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    if (!answers.has(socket)) socket.once('close', leave);
    answers.set(socket, response);
    response.once('close', forget);
  });
  return answers;
}

/** Asks clients to open no further request on the connections that they have; new connections are still taken. */
export function endKeepAlive(server: Server): void {
  server.prependListener('request', (_request, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  for (const [socket, answer] of openAnswers.get(server) ?? []) {
    if (answer === undefined) continue;
    if (!answer.headersSent) answer.shouldKeepAlive = false;
    // It has promised another request already. The sooner the connection ends, the fewer are sent on it in vain.
    else if (!answer.writableFinished) answer.once('finish', () => socket.destroySoon());
  }
}

/**
 * Stops taking connections, lets running requests and streams end for so long, then cuts them.
 *
 * @param grace milliseconds
 * @param onClosed nobody can connect any more
 */
export async function drain(server: Server, grace: number, onClosed = () => {}): Promise<void> {
  if (!server.listening) return onClosed();
  const start = performance.now();
  const closed = await closePort(server, grace);
  onClosed();
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), Math.max(0, grace - (performance.now() - start)));
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
  await closed.all;
  clearTimeout(cut);
  clearInterval(sweep);
}

/** Milliseconds for which a moment is waited for at which no connection waits. */
const MAX_WAIT = 1_000;
/** Milliseconds of a turn of the event loop in which nothing is done. */
const QUIET_TURN = 0.3;
/** Turns in a row in which nobody came, so that what ends them is compiled by then: its first run takes milliseconds. */
const EMPTY_TURNS = 5;

/**
 * Closes the port at a moment at which no connection waits to be taken: those that wait then are reset, with what was sent on them, and
 * a proxy cannot know whether that was carried out. Until it is closed connections are only taken, so that such a moment comes even
 * where there is more to do than can be done; they are served afterwards.
 *
 * @param grace milliseconds after which it is closed all the same
 * @returns once it is closed; `all` resolves when every connection has ended
 */
export async function closePort(server: NetServer, grace: number): Promise<{ readonly all: Promise<void> }> {
  const serve = server.listeners('connection') as Array<(socket: Socket) => void>;
  const taken: Socket[] = [];
  const leave = () => {};
  const take = (socket: Socket) => taken.push(socket.on('error', leave));
  for (const listener of serve) server.off('connection', listener);
  server.on('connection', take);
  const end = performance.now() + Math.min(grace, MAX_WAIT);
  // Each turn of the event loop takes one, and in a long one others may have come since.
  let turn = 0;
  for (let empty = 0; (empty < EMPTY_TURNS || turn > QUIET_TURN) && performance.now() < end; ) {
    const before = taken.length;
    const start = performance.now();
    await new Promise(setImmediate);
    turn = performance.now() - start;
    empty = taken.length > before ? 0 : empty + 1;
  }
  // The port alone: the `close` of HTTP looks at each connection first, and meanwhile others wait.
  const all = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  server.close();
  server.off('connection', take);
  for (const listener of serve) server.on('connection', listener);
  for (const socket of taken) if (!socket.destroyed) server.emit('connection', socket.off('error', leave));
  return { all };
}

const REQUEST_ID = 'x-request-id';
/** Where the made id is: on the request, because a weak map of requests costs more to clear than all that is looked up in it. */
const MADE = Symbol('made request id');

type WithHeaders = {
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  [MADE]?: string;
};

/** The proxy's request id where it is harmless in a log, otherwise a new one. */
export function requestId(request: WithHeaders): string {
  // Over the raw list: Node would build an object of all headers for this one.
  const raw = request.rawHeaders;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (name.length !== REQUEST_ID.length || name.toLowerCase() !== REQUEST_ID) continue;
    const given = raw[i + 1] as string;
    return /^[\w.:=+/-]{1,128}$/.test(given) ? given : madeId(request);
  }
  return madeId(request);
}

/** A request that brings no id has one all the same, wherever it is spoken of. */
function madeId(request: WithHeaders): string {
  request[MADE] ??= randomUUID();
  return request[MADE];
}

/** Answers with JSON and always a length: nginx's HTTP/1.0 check would lose its connection without one. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendJsonText(response, status, JSON.stringify(body), headers);
}

/** The same, of what has been written as JSON already. */
export function sendJsonText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendText(response, status, text, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers });
}

/** The same, of any text. @param headers with the type of its content */
export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(text) });
  endWithRequest(response, text);
}

/** Milliseconds without a byte, and bytes, for which what is left of a request is read and thrown away. */
const LINGER = 2_000;
const MAX_DISCARDED = 64 * 1024 * 1024;
/** Milliseconds without a byte, and in all, for which an answer waits for the end of its request. */
const PAUSE = 300;
const PATIENCE = 10_000;

/**
 * Says all of the answer after the request, and ends it with that: a connection that is closed with something unread is reset, and
 * takes the answer with it if its client is still writing (RFC 9112 §9.6). Proxies that get an answer early do the same to their
 * own clients. One that takes too long, or waits for the answer, gets it at once and may go on for a while.
 */
function endWithRequest(response: ServerResponse, text: string): void {
  const { req: request } = response;
  if (request.complete || request.destroyed || !hasBody(request)) return void response.end(text);
  let left = MAX_DISCARDED;
  let cut: NodeJS.Timeout | undefined;
  const say = () => {
    if (cut !== undefined) return;
    response.write(text);
    cut = setTimeout(() => response.destroy(), LINGER);
  };
  const pause = setTimeout(say, PAUSE);
  const late = setTimeout(say, PATIENCE);
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) response.destroy();
    else if (left < MAX_DISCARDED / 2) say();
    pause.refresh();
    cut?.refresh();
  });
  request.once('end', () => response.end(cut === undefined ? text : undefined));
  request.once('close', () => {
    for (const timer of [pause, late, cut]) clearTimeout(timer);
  });
  request.resume();
}

/** Of too many fields the one that tells may have been dropped. */
function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  return (
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0 || tooManyFields(request)
  );
}
