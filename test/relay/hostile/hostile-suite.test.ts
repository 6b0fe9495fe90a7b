import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { SEED, TIMES } from '../../hostile/support/run.ts';
import { printed, smallest } from '../../hostile/support/smallest.ts';
import {
  type Ugly,
  uglyClient,
  uglyEndpoint,
  uglyEvents,
  uglyFrames,
  uglyHttp,
  uglyLines,
} from '../../hostile/support/ugly.ts';
import { type RawServer, rawServer, switchingProtocols } from './support/raw-server.ts';
import { INITIALIZE, type RelayProcess, startRelayProcess } from './support/relay-process.ts';

const cases = (ugly: fc.Arbitrary<Ugly>, count: number) => fc.sample(ugly, { numRuns: count * TIMES, seed: SEED });
/** Cases at a time. */
const LANES = 16;

const HTTP = [...cases(uglyHttp, 1_000), ...cases(uglyEvents, 400)];
const FRAMES = cases(uglyFrames, 250);
const ENDPOINTS = cases(uglyEndpoint, 150);
const LINES = cases(uglyLines, 60);
const CLIENTS = cases(uglyClient, 800);
const ERAS = ['auto', 'legacy', 'modern', 'both'];
const LIMITS = { timeout: '400ms', maxSessions: 1 };

const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'x' } };
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'u', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
const MODERN = { ...CALL, params: { name: 'x', _meta: META } };
const MODERN_HEADERS = { 'Mcp-Protocol-Version': '2026-07-28', 'Mcp-Method': 'tools/call', 'Mcp-Name': 'x' };

function speak(socket: Socket, { pieces, atEnd }: Ugly): void {
  for (const piece of pieces) socket.write(piece);
  if (atEnd === 'end') socket.end();
  else if (atEnd === 'reset') socket.resetAndDestroy();
}

describe('the relay among hostile servers and hostile clients', function () {
  this.timeout(120_000 * TIMES);
  let hostile: RawServer;
  let running: RelayProcess;
  let folder: string;
  let fds = 0;
  let start: () => Promise<RelayProcess>;

  before(async () => {
    folder = await mkdtemp(`${tmpdir()}/postern-lines-`);
    let next = 0;
    hostile = await rawServer((request, socket) => {
      const [, kind, which] = request.path.split('/');
      if (kind === 'ws') {
        socket.write(switchingProtocols(request));
        speak(socket, FRAMES[Number(which)] as Ugly);
      } else if (kind === 'sse' && request.method === 'GET') speak(socket, ENDPOINTS[Number(which)] as Ugly);
      else {
        // What the relay asks for itself carries no id of a case.
        const named = /^case-(\d+)$/.exec(request.headers.get('x-request-id') ?? '');
        speak(socket, HTTP[named === null ? next++ % HTTP.length : Number(named[1])] as Ugly);
      }
    });
    const at = `127.0.0.1:${hostile.port}`;
    const servers: Record<string, object> = {};
    for (const era of ERAS) servers[`http-${era}`] = { ...LIMITS, url: `http://${at}/http/${era}`, era };
    for (const which of FRAMES.keys()) servers[`ws-${which}`] = { ...LIMITS, url: `ws://${at}/ws/${which}` };
    for (const which of ENDPOINTS.keys())
      servers[`sse-${which}`] = { ...LIMITS, url: `http://${at}/sse/${which}`, transport: 'http-sse' };
    for (const [which, { pieces, atEnd }] of LINES.entries()) {
      const file = `${folder}/${which}`;
      await writeFile(file, Buffer.concat(pieces));
      const last = { end: '', reset: 'kill -9 $$', silence: 'cat > /dev/null' }[atEnd];
      servers[`program-${which}`] = {
        ...LIMITS,
        command: 'sh',
        args: ['-c', `read line; cat ${file}; cat ${file} >&2; ${last}`],
      };
    }
    start = () => startRelayProcess(servers, { relay: { limits: { idleStream: '400ms', maxServerMessage: '64KiB' } } });
    running = await start();
    await running.goodCall();
    fds = await running.openFiles();
  });
  after(async () => {
    await running?.stop();
    await hostile?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs them in lanes; after each, another user's call at another server must be answered. */
  async function each(all: readonly Ugly[], one: (index: number) => Promise<unknown>): Promise<void> {
    let next = 0;
    const underWay = new Set<number>();
    const lane = async () => {
      for (let index = next++; index < all.length; index = next++) {
        underWay.add(index);
        await one(index).catch(() => undefined);
        await running.goodCall();
        underWay.delete(index);
      }
    };
    const fails = async (some: readonly number[]) => {
      if (running.child.ended) running = await start();
      await Promise.all(some.map((index) => one(index).catch(() => undefined)));
      const isAnswered = await running.goodCall().then(
        () => true,
        () => false,
      );
      // Its end is heard of a moment later.
      if (!isAnswered) await sleep(100);
      return !isAnswered;
    };
    const blame = async (error: Error) => {
      next = all.length;
      const together = [...underWay];
      await sleep(100);
      const last = running.child.ended ? `the relay has ended\n${running.child.output.slice(-4_000)}` : '';
      const isRepeated = await fails(together);
      const left = isRepeated ? await smallest(together, fails) : together;
      const which = left.map((index) => `case ${index}: ${printed(all[index] as Ugly)}`).join('\n');
      const how = isRepeated ? 'fails again with' : 'does not fail again; under way were';
      if (running.child.ended) running = await start();
      throw new Error(`${error.message}\n${last}\nseed ${SEED} ${how}\n${which}`, { cause: error });
    };
    await Promise.all(Array.from({ length: LANES }, lane)).catch(blame);
    // Nothing of them is left open: sessions end with what they were refused, streams with their silence.
    let open = 0;
    for (let turn = 0; turn < 150; turn++) {
      open = await running.openFiles();
      if (open <= fds + 2 * LANES + 16) break;
      await sleep(100);
    }
    assert.ok(open <= fds + 2 * LANES + 16, `${open} files are open, ${fds} before`);
    assert.doesNotMatch(running.child.output, /"level":"fatal"/);
  }

  const post = (server: string, message: object, headers: Record<string, string> = {}) =>
    running.post(server, message, { patience: 3_000, headers });

  it(`${HTTP.length} responses over HTTP`, () =>
    each(HTTP, (at) => {
      const modern = at % 3 === 0;
      const headers = { 'X-Request-Id': `case-${at}`, ...(modern ? MODERN_HEADERS : {}) };
      return post(`http-${ERAS[at % 4]}`, modern ? MODERN : at % 3 === 1 ? INITIALIZE : CALL, headers);
    }));

  it(`${FRAMES.length} WebSocket servers`, () => each(FRAMES, (at) => post(`ws-${at}`, INITIALIZE)));

  it(`${ENDPOINTS.length} HTTP+SSE servers`, () => each(ENDPOINTS, (at) => post(`sse-${at}`, INITIALIZE)));

  it(`${LINES.length} programs`, () => each(LINES, (at) => post(`program-${at}`, INITIALIZE)));

  it(`${CLIENTS.length} clients`, () =>
    each(CLIENTS, async (at) => {
      const socket = connect(running.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
        socket.once('connect', () => speak(socket, CLIENTS[at] as Ugly));
        setTimeout(() => socket.destroy(), 300);
      });
    }));
});
