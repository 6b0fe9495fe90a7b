import { request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { MetricObject } from 'prom-client';
import { createHttpServer, sendJson, sendJsonText } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';
import { expose, METRICS_AS_JSON } from '../../platform/openmetrics.ts';
import { SummedMetrics } from './summed-metrics.ts';

/** Milliseconds for which a worker may take to answer the primary itself. */
const ANSWER_TIME = 5_000;

/**
 * `internalListen` of a process with workers: metrics are the sum of all, readiness is that of all, and everything else is asked of one
 * worker, as it would be of one replica.
 *
 * @param sockets of the workers that serve
 */
export function createPrimaryListener(sockets: () => readonly string[], log: Logger): Server {
  const metrics = new SummedMetrics(sockets, readMetrics);
  return createHttpServer({ maxHeaderSize: 16_384, requestTimeout: 10_000, log }, (request, response) => {
    const [path] = request.url?.split('?') ?? [];
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (reads && path === '/healthz') return sendJson(response, 200, { status: 'ok' });
    if (reads && path === '/readyz') return answerReadiness(request, response, sockets());
    if (reads && path === '/metrics') return answerMetrics(request, response, metrics);
    const [socket] = sockets();
    if (socket === undefined) return sendJson(response, 503, NOBODY);
    return handOn(request, response, socket);
  });
}

const NOBODY = {
  ready: false,
  status: 'not ready',
  error: 'temporarily_unavailable',
  error_description: 'no worker serves',
} as const;

/** A worker that has ended, or stops by itself, is no reason to route nobody here: the others take its connections. */
async function answerReadiness(
  { url = '' }: IncomingMessage,
  response: ServerResponse,
  sockets: readonly string[],
): Promise<void> {
  const answers = (await Promise.all(sockets.map((socket) => read(socket, url)))).filter((one) => one !== undefined);
  const staying = answers.filter(({ body }) => (JSON.parse(body) as { status?: string }).status !== 'draining');
  const told = staying.find(({ status }) => status !== 200) ?? staying[0] ?? answers[0];
  if (told === undefined) return sendJson(response, 503, { status: 'not ready', dependencies: { workers: 'none' } });
  sendJsonText(response, told.status, told.body);
}

async function answerMetrics(
  { headers }: IncomingMessage,
  response: ServerResponse,
  metrics: SummedMetrics,
): Promise<void> {
  const { contentType, text } = await expose(await metrics.read(), headers.accept);
  response.writeHead(200, { 'Content-Type': contentType, Vary: 'Accept' });
  response.end(text);
}

async function readMetrics(socket: string): Promise<MetricObject[] | undefined> {
  const answer = await read(socket, '/metrics', { Accept: METRICS_AS_JSON });
  return answer?.status === 200 ? (JSON.parse(answer.body) as MetricObject[]) : undefined;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** @returns undefined where it does not answer: it may be about to end */
function read(socketPath: string, path: string, headers: Record<string, string> = {}): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const asked = ask({ socketPath, path, headers, agent: false, timeout: ANSWER_TIME });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => resolve(undefined));
    asked.once('response', (answer) => {
      text(answer).then(
        (body) => resolve({ status: answer.statusCode ?? 0, body }),
        () => resolve(undefined),
      );
    });
    asked.end();
  });
}

/** Who asks is told to the worker, which sees the primary only. */
function handOn(request: IncomingMessage, response: ServerResponse, socketPath: string): void {
  const headers = { ...request.headers, 'x-forwarded-for': request.socket.remoteAddress ?? '' };
  const asked = ask({ socketPath, path: request.url ?? '/', method: request.method ?? 'GET', headers, agent: false });
  asked.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  asked.once('error', () => {
    if (response.headersSent) response.destroy();
    else sendJson(response, 503, { ...NOBODY, error_description: 'the worker ended; ask again' });
  });
  response.once('close', () => asked.destroy());
  request.pipe(asked);
}
