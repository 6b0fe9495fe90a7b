import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Client, credentials } from '@grpc/grpc-js';
import type { EnvoyCheckRequest, EnvoyCheckResponse } from '../src/forward-auth/proxies/ext-authz/messages.ts';
import { AUTHORIZATION } from '../test/support/ext-authz-service.ts';
import type { Measured } from './load.ts';
import { LOAD_CORE } from './target.ts';

const run = promisify(execFile);
const { Check } = AUTHORIZATION;
const definition = Check as NonNullable<typeof Check>;

/** What Envoy asks about a `tools/call` with a token. */
export function question(authorization: string): EnvoyCheckRequest {
  const headers = {
    authorization,
    'x-forwarded-proto': 'https',
    accept: 'application/json, text/event-stream',
    'user-agent': 'bench',
  };
  const http = { method: 'POST', path: '/servers/bench/mcp', host: 'mcp.example.com', scheme: 'https', headers };
  const source = { address: { socket_address: { address: '203.0.113.7' } } };
  return { attributes: { source, request: { http } } };
}

/** One gRPC message with its frame, as a body. */
export async function writeQuestion(file: string, asked: EnvoyCheckRequest): Promise<void> {
  const message = definition.requestSerialize(asked);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  await writeFile(file, Buffer.concat([frame, message]));
}

/** @throws Error unless the answer is an allow: over the wire, h2load sees no difference */
export async function assertAllowed(port: number, asked: EnvoyCheckRequest): Promise<void> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    const answer = await new Promise<EnvoyCheckResponse>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = definition;
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, asked, (error, value) =>
        error === null ? resolve(value as EnvoyCheckResponse) : reject(error),
      );
    });
    if ((answer.status?.code ?? 0) !== 0) throw new Error(`not allowed: ${answer.status?.message}`);
  } finally {
    client.close();
  }
}

/** h2load, 4 connections with 16 calls each. Its latencies are a mean and a maximum, given as p50 and p99. */
export async function h2load(port: number, file: string, seconds: number): Promise<Measured> {
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const url = `http://127.0.0.1:${port}${definition.path}`;
  const { stdout } = await run('taskset', [
    ...['-c', String(LOAD_CORE), 'h2load', '-t1', '-c4', '-m16', '-D', String(seconds)],
    ...['-d', file, ...headers, url],
  ]);
  const perSecond = Number(/finished in [^,]*, ([\d.]+) req\/s/.exec(stdout)?.[1]);
  const [good, bad] = [/(\d+) 2xx/, /(\d+) failed/].map((pattern) => Number(pattern.exec(stdout)?.[1]));
  if (!(perSecond > 0) || !(Number(good) > 0) || Number(bad) > 0) throw new Error(`h2load: ${stdout}`);
  const times = /time for request:\s+\S+\s+(\S+)\s+(\S+)/.exec(stdout);
  return { requests: Number(good), perSecond, p50: milliseconds(times?.[2]), p99: milliseconds(times?.[1]) };
}

function milliseconds(text = ''): number {
  const [, value = 'NaN', unit = 'ms'] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? [];
  return Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? 1);
}
