import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, it } from 'mocha';
import { CONNECTION_TIMES } from '../../../src/relay/transports/channel/connection.ts';
import { CLIENTS, type Place } from '../protocol/numbers/clients.ts';
import { endAll, relay } from '../support/relay.ts';
import { answer, event, type Script, SESSION, scriptedServer } from '../support/scripted-server.ts';

const PLACES: Readonly<Record<string, Place>> = {
  'the server': { path: '/servers/one', tool: 'echo' },
  'all as one': { path: '', tool: 'one__echo' },
};
/** Short, so that what is tried again shows. */
const RETRY = { first: 5, longest: 1_000, attempts: 7 };
/** A client that reaches the server byte for byte resumes streams and begins sessions itself. */
const isTransparent = (client: string, place: string) =>
  client === 'streamable HTTP with a session' && place === 'the server';

/** Ids of events as servers may choose them (HTML §9.2.6). */
const EVENT_IDS = ['1', 'a b', 'zażółć', '"quoted", {json: 1}'];

describe('a server with sessions, whatever client is in front', function () {
  this.timeout(60_000);
  afterEach(endAll);

  const start = async (script: Script) => {
    const { url, seen } = await scriptedServer({
      ...script,
      post: (message, response, request) => {
        if (script.post?.(message, response, request) === true) return true;
        if (message.method !== 'server/discover') return false;
        const error = { code: -32601, message: 'there is no such method' };
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, error }));
        return true;
      },
    });
    const running = await relay(
      {
        servers: { one: { url, era: 'legacy' } },
        sessionKey: Buffer.alloc(32, 7).toString('base64url'),
        aggregate: { servers: ['one'], timeout: '10s' },
      },
      { times: { ...CONNECTION_TIMES, retry: RETRY } },
    );
    return { running, seen };
  };

  for (const [client, call] of Object.entries(CLIENTS))
    for (const [place, where] of Object.entries(PLACES)) {
      if (isTransparent(client, place)) continue;
      describe(`${client} → ${place}`, () => {
        for (const lastEventId of EVENT_IDS)
          it(`resumes a call whose stream the server closes to be polled, after the event ${lastEventId}`, async () => {
            let calls = 0;
            let asked: unknown;
            const resumed: unknown[] = [];
            const { running } = await start({
              post: (message, response) => {
                if (message.method !== 'tools/call') return false;
                calls += 1;
                asked = message.id;
                response.writeHead(200, { 'Content-Type': 'text/event-stream' });
                response.end(`id: ${lastEventId}\nretry: 10\ndata: \n\n`);
                return true;
              },
              get: (response, request) => {
                const given = request.headers['last-event-id'];
                if (given === undefined) return false;
                resumed.push(Buffer.from(String(given), 'latin1').toString());
                response.writeHead(200, { 'Content-Type': 'text/event-stream' });
                if (resumed.length === 1) response.end('retry: 10\n: nothing yet\n\n');
                else response.end(event({ id: asked, result: { content: [], structuredContent: { late: true } } }));
                return true;
              },
            });
            const text = await call(running.port, where, '5', '{}');
            assert.ok(text.includes('"structuredContent":{"late":true}'), text);
            assert.equal(calls, 1, 'the tool runs once');
            assert.deepEqual([...new Set(resumed)], [lastEventId]);
          });

        it('asks for no rest of an answer that came whole', async () => {
          let gets = 0;
          const { running } = await start({
            post: ({ id, method }, response) => {
              if (method !== 'tools/call') return false;
              response.writeHead(200, { 'Content-Type': 'text/event-stream' });
              response.end(`retry: 1\n${event({ id, result: { content: [], structuredContent: {} } }, 'last')}`);
              return true;
            },
            get: (_response, request) => {
              if (request.headers['last-event-id'] !== undefined) gets += 1;
              return false;
            },
          });
          for (const _call of [1, 2]) {
            assert.match(await call(running.port, where, '5', '{}'), /"structuredContent"/);
            await sleep(RETRY.first * 20);
          }
          assert.equal(gets, 0);
        });

        for (const [status, code] of [
          [404, -32001],
          [400, -32001],
        ] as const)
          it(`is told of a forgotten session by ${status} and ${code}, or begins another one`, async () => {
            let calls = 0;
            const { running, seen } = await start({
              post: (message, response) => {
                if (message.method !== 'tools/call') return false;
                calls += 1;
                if (calls > 1) {
                  answer({ ...message, method: 'structuredContent' }, response);
                  return true;
                }
                response.writeHead(status, { 'Content-Type': 'application/json' });
                const error = { code, message: 'Session not found' };
                response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
                return true;
              },
            });
            const text = await call(running.port, where, '5', '{}');
            assert.match(text, /"structuredContent"|ended the session/);
            assert.ok(seen.some(({ headers }) => headers['mcp-session-id'] === SESSION));
          });
      });
    }
});
