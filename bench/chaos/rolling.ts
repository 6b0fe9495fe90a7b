import { setMaxListeners } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPLICATED, type ReplicatedChain, startReplicatedChain } from '../../test/support/replicated-chain.ts';
import { until } from '../../test/support/until.ts';
import { count, type Report } from './report.ts';
import { type Stage, stage } from './stage.ts';

/** Tool calls a second. */
const RATE = Number(process.env.CHAOS_RATE ?? 300);
/** One of so many calls takes longer than a process waits before it ends. */
const SLOW = 50;
const STREAMS = 20;
const MAX_RUNNING = 60;
/** Milliseconds between two rounds of calls. */
const ROUND = 20;
/** Milliseconds until the next replica is restarted, so that the proxy knows the one that is back. */
const SETTLE = 1_500;
/** Milliseconds after which a client gives up: as those of the SDK do. */
const PATIENCE = 60_000;

/** Both processes of one host after those of the other, while tools are called and streams stand, behind each real proxy. */
export const ROLLING: readonly Stage[] = REPLICATED.map((proxy) =>
  stage<ReplicatedChain>({
    start: () => startReplicatedChain(proxy),
    load,
    isWell,
    faults: [{ name: `rolling restart behind ${proxy}`, begin: restartAll }],
  }),
);

const INITIALIZE = {
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'chaos', version: '1.0.0' } },
};
/** What a client knows. */
type Reached = Pick<ReplicatedChain, 'endpoint' | 'token'>;

/** Whether a session can be opened. */
export async function isWell(chain: Reached): Promise<boolean> {
  return (await call(chain, undefined, INITIALIZE)) === '200';
}

const agent = new Agent({ keepAlive: true, maxSockets: 200 });

async function restartAll({ hosts }: ReplicatedChain): Promise<void> {
  await sleep(SETTLE);
  for (const processes of hosts) {
    for (const one of processes) one.child.signal('SIGTERM');
    await Promise.all(
      processes.map(async (one) => {
        await until(`${one.name} has ended`, () => one.child.ended);
        await one.start();
      }),
    );
    await sleep(SETTLE);
  }
}

/** Tools called and streams standing, until the signal ends it. */
export async function load(chain: Reached, signal: AbortSignal, report: () => Report): Promise<void> {
  setMaxListeners(2 * STREAMS, signal);
  const session = await openSession(chain);
  const running = new Set<Promise<void>>();
  const streams = Array.from({ length: STREAMS }, () => follow(chain, signal, report));
  let sent = 0;
  for (const start = performance.now(); !signal.aborted; await sleep(ROUND)) {
    const due = ((performance.now() - start) * RATE) / 1_000;
    // On a busy machine less, rather than a queue of requests that grows.
    if (running.size >= MAX_RUNNING) sent = Math.floor(due);
    for (; sent < due && running.size < MAX_RUNNING; sent++) {
      const name = sent % SLOW === 0 ? 'slow' : 'quick';
      const into = report();
      const sentAt = performance.now();
      const one: Promise<void> = call(chain, session, { method: 'tools/call', params: { name, arguments: {} } })
        .then((status) => {
          count(into, `call ${status}`);
          if (name === 'quick') into.times.push(performance.now() - sentAt);
        })
        .finally(() => running.delete(one));
      running.add(one);
    }
  }
  await Promise.all([...running, ...streams]);
}

/** One standing stream, as an SDK follows it: opened again after the last event that came. Counts what was resumed, and what is missing. */
async function follow(chain: Reached, signal: AbortSignal, report: () => Report): Promise<void> {
  const session = await openSession(chain);
  let last: number | undefined;
  let resumed = false;
  while (!signal.aborted) {
    const resuming = last;
    const response = await open(chain, session, last, signal);
    if (response?.statusCode !== 200) {
      response?.resume();
      if (signal.aborted) return;
      count(report(), `stream ${response?.statusCode ?? 'lost'}`);
      await sleep(100);
      continue;
    }
    try {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) {
        text += chunk;
        const events = text.split('\n\n');
        text = events.pop() as string;
        for (const event of events) {
          const id = Number(/^id: (\d+)$/m.exec(event)?.[1] ?? Number.NaN);
          if (Number.isNaN(id)) continue;
          if (last !== undefined && id !== last + 1) count(report(), 'events missed');
          if (!resumed && resuming !== undefined) count(report(), 'stream resumed');
          resumed ||= resuming !== undefined;
          last = id;
        }
      }
    } catch {
      if (!signal.aborted) count(report(), 'stream cut');
    }
  }
}

function open(
  { endpoint, token }: Reached,
  session: string,
  last: number | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  const headers = {
    Authorization: `Bearer ${token}`,
    Accept: 'text/event-stream',
    'MCP-Protocol-Version': '2025-06-18',
    'Mcp-Session-Id': session,
    ...(last === undefined ? {} : { 'Last-Event-ID': String(last) }),
  };
  return new Promise((resolve) => {
    const asked = request(endpoint, { headers, signal, agent: false }, resolve);
    asked.on('error', () => resolve(undefined)).end();
  });
}

async function openSession(chain: Reached): Promise<string> {
  const { headers } = await post(chain, undefined, INITIALIZE);
  const session = headers['mcp-session-id'];
  if (typeof session !== 'string') throw new Error('no session was opened');
  return session;
}

/** @returns its status, or `lost` and why where there was no answer */
async function call(chain: Reached, session: string | undefined, message: object): Promise<string> {
  try {
    const { statusCode, text } = await post(chain, session, message);
    return statusCode === 200 && !text.includes('"result"') ? '200 without a result' : String(statusCode);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `lost (${code ?? message})`;
  }
}

function post({ endpoint, token }: Reached, session: string | undefined, message: object) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, ...message });
  const headers = {
    Authorization: `Bearer ${token}`,
    Accept: 'application/json, text/event-stream',
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'MCP-Protocol-Version': '2025-06-18',
    ...(session === undefined ? {} : { 'Mcp-Session-Id': session }),
  };
  return new Promise<IncomingMessage & { text: string }>((resolve, reject) => {
    const asked = request(endpoint, { method: 'POST', headers, agent, timeout: PATIENCE }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve(Object.assign(response, { text }))).on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject).end(body);
  });
}
