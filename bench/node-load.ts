import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import type { Load, Measured } from './load.ts';

// Closed loop: each connection sends its next request when the last answer has ended. Bounded by the run's seconds.
const load = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as Load;
const agent = new Agent({ keepAlive: true, maxSockets: load.connections });
const times: number[] = [];
let sent = 0;

function once(): Promise<void> {
  const headers: Record<string, string> = { ...load.headers };
  if (load.tokens !== undefined) headers.Authorization = load.tokens[sent % load.tokens.length] as string;
  sent += 1;
  const from = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(load.url, { agent, method: load.method ?? 'GET', headers }, (response) => {
      if (response.statusCode !== load.expect) reject(new Error(`status ${response.statusCode}`));
      response.resume().on('end', () => {
        times.push(performance.now() - from);
        resolve();
      });
    });
    outgoing.on('error', reject).end(load.body);
  });
}

async function connection(until: number): Promise<void> {
  while (performance.now() < until) await once();
}

const start = performance.now();
const until = start + load.seconds * 1000;
await Promise.all(Array.from({ length: load.connections }, () => connection(until)));
const seconds = (performance.now() - start) / 1000;
times.sort((a, b) => a - b);
const measured: Measured = {
  requests: times.length,
  perSecond: times.length / seconds,
  p50: times[Math.floor(times.length * 0.5)] ?? 0,
  p99: times[Math.floor(times.length * 0.99)] ?? 0,
};
process.stdout.write(JSON.stringify(measured));
agent.destroy();
