import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { call } from '../protocol/numbers/clients.ts';
import { endAll, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { CONNECTIONS } from './connections.ts';

interface Running {
  readonly server: Record<string, unknown>;
  readonly tool: string;
  /** Calls that the server has got. */
  calls(): number;
  /** Lets it answer. */
  release(): void;
}

/** A server whose calls wait until they are released. */
async function waiting(era: 'legacy' | 'modern'): Promise<Running> {
  const calls: Array<() => void> = [];
  const { url } = await scriptedServer({
    post: ({ id, method }, response: ServerResponse) => {
      const json = (message: object) => {
        response.writeHead(200, {
          'Content-Type': 'application/json',
          ...(era === 'legacy' && { 'Mcp-Session-Id': 'one' }),
        });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...message }));
        return true;
      };
      const result = { content: [], structuredContent: { done: true }, resultType: 'complete' };
      if (method === 'tools/call') return calls.push(() => json({ result })) > 0;
      if (method !== 'server/discover') return false;
      if (era === 'legacy') return json({ error: { code: -32601, message: 'there is no such method' } });
      return json({
        result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
      });
    },
  });
  const release = () => {
    for (const one of calls) one();
  };
  return { server: { url, era }, tool: 'wait', calls: () => calls.length, release };
}

const PROGRAM = fileURLToPath(new URL('../support/scripted-program.js', import.meta.url));

const SERVERS: Readonly<Record<string, () => Promise<Running>>> = {
  'a server with sessions': () => waiting('legacy'),
  'a server without': () => waiting('modern'),
  'a program': async () => ({
    server: { command: process.execPath, args: [PROGRAM] },
    tool: 'slow',
    calls: () => 1,
    release: () => {},
  }),
};

const PLACES = { 'the server': ['/servers/one', ''], 'all as one': ['', 'one__'] } as const;

/** Byte for byte the server itself decides. */
const isTransparent = (client: string, server: string, place: string) =>
  client === 'streamable HTTP' && server === 'a server with sessions' && place === 'the server';

describe('an id that a client uses twice at a time', function () {
  this.timeout(60_000);
  afterEach(endAll);

  for (const [client, connect] of Object.entries(CONNECTIONS))
    for (const [kind, start] of Object.entries(SERVERS))
      for (const [place, [path, prefix]] of Object.entries(PLACES)) {
        if (isTransparent(client, kind, place)) continue;
        it(`is refused once: ${client} → ${kind}, by ${place}`, async () => {
          const running = await start();
          const { port } = await relay({
            servers: { one: running.server },
            aggregate: { servers: ['one'], timeout: '10s' },
          });
          const connection = await connect(port, path);
          const message = call(prefix + running.tool, '5', '{"milliseconds":1500,"say":"structuredContent"}');
          connection.send(message);
          await until('the server has the call', () => running.calls() === 1);
          connection.send(message.replace('"id":5', '"id":5.0'));
          await until('the second is refused', () => connection.text.includes('"error"'));
          assert.match(connection.text, /"code":-32600,"message":"a request with this id waits for its answer"/);
          assert.doesNotMatch(connection.text, /structuredContent/, 'the first waits still');
          running.release();
          await until('the first is answered', () => connection.text.includes('structuredContent'));
          assert.equal(running.calls(), 1, 'the tool runs once');
        });
      }
});
