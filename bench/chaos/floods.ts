import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AUDIENCE, type Gate, startGate } from '../../test/support/gate-replicas.ts';
import { resolveProgram } from '../../test/support/programs.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import { FIELDS } from './flood-fields.ts';
import type { FloodOrder } from './flood-sender.ts';
import { count, type Report } from './report.ts';
import { type Stage, stage } from './stage.ts';

/** One forward-auth that knows some people, and what strangers can send. */
interface Flooded {
  readonly gate: Gate;
  /** Header lines of credentials that are known. */
  readonly known: readonly string[];
  /** Tokens that were never seen. */
  readonly fresh: readonly string[];
  stop(): Promise<void>;
}

const CONNECTIONS = 100;
const FRESH = 20_000;
/** Milliseconds between two requests of somebody who is known. */
const PAUSE = 3;

async function startFlooded(): Promise<Flooded> {
  const found = await resolveProgram('redis');
  if (!('program' in found)) throw new Error(found.missing);
  const redis = await startRedis(found.program);
  const gate = await startGate(1, {
    redis: { url: redis.url },
    auth: { sessions: { keys: randomBytes(32).toString('base64url') }, apiKeys: { enabled: true } },
  });
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  const mint = (sub: string) => gate.provider.mint({ sub, aud: AUDIENCE, exp });
  const { cookie } = await gate.signIn('alice');
  const fresh: string[] = [];
  for (let at = 0; at < FRESH; at++) fresh.push(await mint(`person-${at}`));
  return {
    gate,
    fresh,
    known: [`Cookie: ${cookie}`, `Authorization: Bearer ${await mint('alice')}`],
    stop: async () => {
      await gate.stop();
      await redis.stop();
    },
  };
}

/** As Traefik asks. @param lines of the credential */
function question({ gate }: Flooded, lines: readonly string[]): string {
  const { host } = new URL(gate.publicUrl);
  const forwarded = ['Method: GET', 'Proto: http', `Host: ${host}`, 'Uri: /app/', 'For: 127.0.0.1'];
  return [
    'GET /verify/traefik HTTP/1.1',
    `Host: ${host}`,
    ...forwarded.map((line) => `X-Forwarded-${line}`),
    ...lines,
    '',
    '',
  ].join('\r\n');
}

const portOf = ({ gate }: Flooded) => Number(new URL(gate.publicUrl).port);

/** Those who are known, one request after another of each, over a connection that stays: what the flood adds is all that is measured. */
async function load(system: Flooded, signal: AbortSignal, report: () => Report): Promise<void> {
  const { known } = system;
  await Promise.all(
    known.map(async (credential) => {
      const ask = asker(portOf(system), question(system, [credential]));
      while (!signal.aborted) {
        const into = report();
        const start = performance.now();
        count(into, `known ${await ask()}`);
        into.times.push(performance.now() - start);
        await sleep(PAUSE);
      }
      ask.close();
    }),
  );
}

/** By hand: a client library would add its own time. */
function asker(port: number, text: string): (() => Promise<string>) & { close(): void } {
  const socket: Socket = connect(port, '127.0.0.1').on('error', () => {});
  const ask = () =>
    new Promise<string>((resolve) => {
      let answer = '';
      const end = (status: string) => {
        socket.off('data', take).off('close', lost);
        resolve(status);
      };
      const lost = () => end('lost');
      const take = (chunk: Buffer) => {
        answer += chunk.toString('latin1');
        const head = answer.indexOf('\r\n\r\n');
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1]);
        if (head !== -1 && answer.length >= head + 4 + length) end(answer.slice(9, 12));
      };
      socket.on('data', take).on('close', lost);
      if (!socket.writable) return lost();
      return void socket.write(text);
    });
  return Object.assign(ask, { close: () => void socket.destroy() });
}

export const FLOODS: Stage = stage<Flooded>({
  start: startFlooded,
  load,
  isWell: async (system) => {
    const askers = system.known.map((credential) => asker(portOf(system), question(system, [credential])));
    const statuses = await Promise.all(askers.map((ask) => ask()));
    for (const { close } of askers) close();
    return statuses.every((status) => status === '200');
  },
  faults: [
    ...Object.keys(FIELDS).map((name) => ({
      name: `a flood of ${name}`,
      begin: async (system: Flooded, signal: AbortSignal, report: Report) => {
        const { fresh } = system;
        const asked = { port: portOf(system), text: question(system, []) };
        const statuses = await floodBeside({ name, connections: CONNECTIONS, fresh, ...asked }, signal);
        for (const [status, times] of Object.entries(statuses)) report.counts[`strangers ${status}`] = times;
      },
    })),
    { name: 'a flood of slow bodies', begin: sendSlowly },
  ],
});

/** In a process of its own: what it takes to send and to read a flood is no delay of those who are measured. */
async function floodBeside(order: FloodOrder, signal: AbortSignal): Promise<Record<string, number>> {
  const sender = fork(new URL('./flood-sender.ts', import.meta.url), { execArgv: ['--import', 'tsx'] });
  const told = once(sender, 'message');
  sender.send(order);
  await once(signal, 'abort');
  sender.send('stop');
  const [statuses] = (await told) as [Record<string, number>];
  sender.disconnect();
  return statuses;
}

async function sendSlowly(system: Flooded, signal: AbortSignal): Promise<void> {
  const head = `POST /_postern/sign-in HTTP/1.1\r\nHost: ${new URL(system.gate.publicUrl).host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n`;
  const sockets = Array.from({ length: 1_000 }, () => connect(portOf(system), '127.0.0.1').on('error', () => {}));
  for (const socket of sockets) socket.write(head);
  while (!signal.aborted) {
    for (const socket of sockets) if (socket.writable) socket.write('a');
    await sleep(250);
  }
  for (const socket of sockets) socket.destroy();
}
