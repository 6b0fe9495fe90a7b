import { createServer, type RequestListener, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { startRelay } from '../../../src/relay/server.ts';
import { CONNECTION_TIMES, type ConnectionTimes } from '../../../src/relay/transports/channel/connection.ts';

/** Ends everything a test started, last first. */
const cleanups: Array<() => Promise<unknown> | unknown> = [];

export function onEnd(cleanup: () => Promise<unknown> | unknown): void {
  cleanups.push(cleanup);
}

export async function endAll(): Promise<void> {
  while (cleanups.length > 0) await cleanups.pop()?.();
}

/** A busy machine must not turn the answers that tests read as JSON into streams. */
const PATIENT = { ...CONNECTION_TIMES, silence: { own: 60_000, passed: 60_000 } };

/** An MCP server in the hands of the test. */
export async function upstream(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

export interface RelayUnderTest {
  readonly port: number;
  readonly internalPort: number;
  readonly url: string;
  readonly logs: string[];
  metrics(): Promise<string>;
  close(): Promise<void>;
  /** Takes other keys of `relay`, as SIGHUP would. */
  reload(overrides: object): Promise<void>;
}

export async function relay(
  overrides: { [key: string]: unknown; servers?: Record<string, Record<string, unknown>> },
  deps: {
    now?: () => number;
    publicUrl?: string;
    drain?: string;
    times?: ConnectionTimes;
    env?: Record<string, string>;
    audit?: object;
    redis?: object;
    tracing?: object;
    watch?: object;
    userNames?: readonly string[];
  } = {},
): Promise<RelayUnderTest> {
  const logs: string[] = [];
  const log = createLogger(
    'relay',
    'debug',
    new Writable({
      write: (line, _encoding, done) => {
        logs.push(String(line));
        done();
      },
    }),
  );
  const configOf = (relay: object) => ({
    publicUrl: deps.publicUrl ?? 'https://mcp.example.com',
    drain: deps.drain ?? '50ms',
    audit: deps.audit ?? {},
    tracing: deps.tracing ?? {},
    watch: deps.watch ?? {},
    ...(deps.userNames === undefined ? {} : { userNames: deps.userNames }),
    ...(deps.redis === undefined ? {} : { redis: deps.redis }),
    relay: { listen: '127.0.0.1:0', internalListen: '127.0.0.1:0', ...relay },
  });
  const running = await startRelay(parseConfig(configOf(overrides)), {
    log,
    ...(deps.now === undefined ? {} : { now: deps.now }),
    times: deps.times ?? PATIENT,
    ...(deps.env === undefined ? {} : { env: deps.env }),
  });
  onEnd(() => running.close());
  return {
    port: running.port,
    internalPort: running.internalPort,
    url: `http://127.0.0.1:${running.port}/servers/one/mcp`,
    logs,
    metrics: async () => (await fetch(`http://127.0.0.1:${running.internalPort}/metrics`)).text(),
    close: () => running.close(),
    reload: (changed) => running.reload(() => ({ config: parseConfig(configOf(changed)), warnings: [] })),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
}

export interface Sent {
  readonly method?: string;
  readonly path?: string;
  /** Names and values in turn, so that duplicates and spelling are the test's. */
  readonly headers?: string[];
  readonly body?: string | Buffer;
  readonly trailers?: Array<[string, string]>;
}

export const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'add' } });

/** Sends exactly these headers (and those of framing). */
export function ask(port: number, sent: Sent = {}): Promise<Answer> {
  const method = sent.method ?? 'POST';
  const body = method === 'POST' ? (sent.body ?? CALL) : undefined;
  const names = (sent.headers ?? []).filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  const headers = [...(sent.headers ?? [])];
  if (!names.includes('host')) headers.push('Host', 'mcp.example.com');
  if (body !== undefined && !names.includes('content-type')) headers.push('Content-Type', 'application/json');
  if (sent.trailers !== undefined) headers.push('Transfer-Encoding', 'chunked');
  else if (body !== undefined) headers.push('Content-Length', String(Buffer.byteLength(body)));
  return new Promise((resolve, reject) => {
    const request = send(
      { host: '127.0.0.1', port, method, path: sent.path ?? '/servers/one/mcp', headers, agent: false },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    if (sent.trailers !== undefined) request.addTrailers(sent.trailers);
    request.end(body);
  });
}

/** A server that says which headers reached it. */
export const ECHO: RequestListener = (request, response) => {
  request.resume().on('end', () => {
    const text = JSON.stringify({ jsonrpc: '2.0', id: 7, result: { headers: request.headers, url: request.url } });
    response.writeHead(200, { 'Content-Type': 'application/json', 'Set-Cookie': 'a=b', 'WWW-Authenticate': 'Basic' });
    response.end(text);
  });
};

export function rejection(answer: Answer): { code: number; message: string; id: unknown } {
  const { error, id } = JSON.parse(answer.text);
  return { code: error.code, message: error.message, id };
}
