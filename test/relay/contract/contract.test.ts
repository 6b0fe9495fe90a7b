import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { CONNECTION_TIMES } from '../../../src/relay/transports/channel/connection.ts';
import { until } from '../../support/until.ts';
import { CONNECTIONS, type Connection, STATELESS } from '../downstream/connections.ts';
import { call } from '../protocol/numbers/clients.ts';
import { endAll, relay } from '../support/relay.ts';
import { SERVERS } from './servers.ts';

const LEGACY_HTTP = 'streamable HTTP';
const MODERN_HTTP = 'streamable HTTP, stateless';
const CLIENTS = { ...CONNECTIONS, [MODERN_HTTP]: STATELESS };
const PLACES = { 'the server': ['/servers/one', ''], 'all as one': ['', 'one__'] } as const;

/** Byte for byte, in a session: which ids it may have is for the server to say. */
function isTransparent(client: string, kind: string, place: string): boolean {
  return client === LEGACY_HTTP && kind.startsWith('legacy') && place === 'the server';
}

const answerTo = (id: number) =>
  new RegExp(
    `"id":${id}\\b[^\\n]*"structuredContent":\\{"done":true\\}|"structuredContent":\\{"done":true\\}[^\\n]*"id":${id}\\b`,
  );
const errorTo = (id: number) => new RegExp(`"id":(?:${id}|null)\\b[^\\n]*"error"|"error"[^\\n]*"id":(?:${id}|null)\\b`);

describe('every client with every server', function () {
  this.timeout(30_000);
  afterEach(endAll);

  for (const [client, connect] of Object.entries(CLIENTS))
    for (const [kind, start] of Object.entries(SERVERS))
      for (const [place, [path, prefix]] of Object.entries(PLACES)) {
        const open = async () => {
          const server = await start();
          const retry = { first: 5, longest: 100, attempts: 7 };
          const { port } = await relay(
            { servers: { one: server.config }, aggregate: { servers: ['one'], timeout: '10s' } },
            { times: { ...CONNECTION_TIMES, retry } },
          );
          return { server, connectAgain: () => connect(port, path), connection: await connect(port, path) };
        };
        const send = (connection: Connection, tool: string, id: number | string) =>
          connection.send(call(prefix + tool, String(id), '{}'));

        describe(`${client} → ${kind}, by ${place}`, () => {
          it('an answer with -32001 is the answer of a tool, and ends no session', async () => {
            const { server, connection } = await open();
            send(connection, 'gone', 1);
            await until('it is answered', () => errorTo(1).test(connection.text));
            assert.match(connection.text, /"code":-32001,"message":"Session not found"/);
            send(connection, 'echo', 2);
            await until('the session goes on', () => answerTo(2).test(connection.text));
            assert.deepEqual([server.calls('gone'), server.calls('echo')], [1, 1]);
          });

          it('a session that the server has forgotten is opened anew, or its client told to', async () => {
            const { server, connection, connectAgain } = await open();
            send(connection, 'echo', 1);
            await until('the session works', () => answerTo(1).test(connection.text));
            server.forget();
            const isStateless = client === MODERN_HTTP || place === 'all as one' || kind.startsWith('modern');
            let id = 1;
            await until('the client knows', async () => {
              id += 1;
              send(connection, 'echo', id);
              await until(
                'it is answered',
                () => answerTo(id).test(connection.text) || errorTo(id).test(connection.text) || connection.ended,
              );
              return isStateless
                ? answerTo(id).test(connection.text)
                : connection.ended || /session not found|ended the session/i.test(connection.text);
            });
            // A call that came while the connection broke may have run: only such a one is lost.
            assert.ok(id <= 3, connection.text);
            if (isStateless) return;
            const again = await connectAgain();
            send(again, 'echo', 9);
            await until('a new session works', () => answerTo(9).test(again.text));
          });

          it('events whose ids hold a space are read, and their streams taken up again', async () => {
            const { server, connection } = await open();
            send(connection, 'echo', 1);
            await until('it is answered', () => answerTo(1).test(connection.text));
            assert.equal(server.calls('echo'), 1, 'the tool runs once');
          });

          if (!isTransparent(client, kind, place))
            it('the same id twice at a time is refused once, and none without a session', async () => {
              const { server, connection } = await open();
              send(connection, 'hold', 5);
              await until('the server has the call', () => server.calls('hold') === 1);
              send(connection, 'hold', '5.0');
              if (client === MODERN_HTTP) {
                await until('the server has the second', () => server.calls('hold') === 2);
                server.release();
                await until('both are answered', () => connection.text.split('"structuredContent"').length === 3);
                return;
              }
              await until('the second is refused', () => connection.text.includes('"error"'));
              assert.match(connection.text, /"code":-32600,"message":"a request with this id waits for its answer"/);
              assert.doesNotMatch(connection.text, /structuredContent/, 'the first waits still');
              server.release();
              await until('the first is answered', () => connection.text.includes('structuredContent'));
              assert.equal(server.calls('hold'), 1, 'the tool runs once');
            });
        });
      }
});
