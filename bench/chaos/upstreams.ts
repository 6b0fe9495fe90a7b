import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLinkedSignal } from '../../src/platform/abort.ts';
import { freePorts } from '../../test/support/free-port.ts';
import { startPostern } from '../../test/support/postern-process.ts';
import { count, type Report } from './report.ts';
import { type Stage, stage } from './stage.ts';

/** A relay before a server that answers and one that does not as it should. */
interface Relay {
  /** How the bad one answers. */
  answer: RequestListener;
  call(server: 'good' | 'bad' | 'noisy', signal?: AbortSignal): Promise<string>;
  stop(): Promise<void>;
}

const MESSAGE = (method: string, id: number) =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params: { name: 'x', arguments: {} } });
const RESULT = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [] } });
/** Calls at a time at the bad server. */
const CALLERS = 20;
const ROUND = 20;
const PATIENCE = 5_000;

const ok: RequestListener = (request, response) => {
  request.resume().on('end', () => response.writeHead(200, { 'Content-Type': 'application/json' }).end(RESULT));
};

async function startRelay(): Promise<Relay> {
  const [port, internal] = (await freePorts(2)) as [number, number];
  const folder = await mkdtemp(join(tmpdir(), 'postern-chaos-'));
  const file = join(folder, 'postern.yaml');
  const self = { answer: ok } as Relay;
  const good = await listen(ok);
  const bad = await listen((request, response) => self.answer(request, response));
  await writeFile(
    file,
    JSON.stringify({
      relay: {
        listen: `127.0.0.1:${port}`,
        internalListen: `127.0.0.1:${internal}`,
        trust: { proxies: ['127.0.0.1/32'] },
        servers: {
          good: { url: urlOf(good), era: 'both' },
          bad: { url: urlOf(bad), era: 'both', timeout: '3s' },
          noisy: { command: 'yes' },
        },
      },
    }),
  );
  const child = await startPostern('relay', file, internal);
  self.call = async (server, signal = AbortSignal.timeout(PATIENCE)) => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/servers/${server}/mcp`, {
        method: 'POST',
        headers: {
          'X-Authenticated-User': server === 'good' ? 'alice' : 'bob',
          'Content-Type': 'application/json',
          Accept: 'application/json, text/event-stream',
        },
        body: MESSAGE(server === 'noisy' ? 'initialize' : 'tools/call', 1),
        signal,
      });
      for await (const _chunk of answer.body ?? []);
      return String(answer.status);
    } catch {
      return 'lost';
    }
  };
  self.stop = async () => {
    await child.stop();
    for (const server of [good, bad]) server.closeAllConnections();
    for (const server of [good, bad]) server.close();
    await rm(folder, { recursive: true, force: true });
  };
  return self;
}

async function listen(answer: RequestListener): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;

async function load({ call }: Relay, signal: AbortSignal, report: () => Report): Promise<void> {
  const running = new Set<Promise<void>>();
  while (!signal.aborted) {
    const into = report();
    const sentAt = performance.now();
    const one: Promise<void> = call('good')
      .then((status) => {
        count(into, `good ${status}`);
        into.times.push(performance.now() - sentAt);
      })
      .finally(() => running.delete(one));
    running.add(one);
    await sleep(ROUND);
  }
  await Promise.all(running);
}

const misbehave = (name: string, answer: RequestListener) => ({
  name,
  begin: async (relay: Relay, signal: AbortSignal, report: Report) => {
    relay.answer = answer;
    await Promise.all(Array.from({ length: CALLERS }, () => callSteadily(relay, 'bad', signal, report)));
  },
  end: async (relay: Relay) => {
    relay.answer = ok;
  },
});

async function callSteadily(
  { call }: Relay,
  server: 'bad' | 'noisy',
  signal: AbortSignal,
  report: Report,
): Promise<void> {
  while (!signal.aborted) {
    const status = await withLinkedSignal([signal], (until) => call(server, until), PATIENCE);
    if (!signal.aborted) count(report, `${server} ${status}`);
    await sleep(ROUND);
  }
}

const EVENT = Buffer.from(`data: ${'x'.repeat(64 * 1024)}\n\n`);

/** What one MCP server can do to those who use another. */
export const UPSTREAMS: Stage = stage<Relay>({
  start: startRelay,
  load,
  isWell: async ({ call }) => (await call('good')) === '200' && (await call('bad')) === '200',
  faults: [
    misbehave('an MCP server is slow', (request, response) => {
      setTimeout(() => ok(request, response), 2_000);
    }),
    misbehave('an MCP server never answers', (request) => void request.resume()),
    misbehave('an MCP server resets connections', (request) => void request.socket.resetAndDestroy()),
    misbehave('an MCP server ends in the midst', (request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' });
      response.write('{"jsonrpc"', () => request.socket.destroy());
    }),
    misbehave('an MCP server answers without an end', (request, response) => {
      request.resume();
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      const dripping = setInterval(() => response.write(': still there\n\n'), 100);
      response.once('close', () => clearInterval(dripping));
    }),
    misbehave('an MCP server floods', (request, response) => {
      request.resume();
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      const more = () => {
        while (!response.destroyed && response.write(EVENT));
      };
      response.on('drain', more);
      more();
    }),
    {
      name: 'a program floods its output',
      begin: (relay, signal, report) => callSteadily(relay, 'noisy', signal, report),
    },
  ],
});
