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
          const running = await relay(
            {
              servers: { one: server.config },
              aggregate: { servers: ['one'], timeout: '10s' },
              limits: { maxServerMessage: '64KiB' },
            },
            { times: { ...CONNECTION_TIMES, retry } },
          );
          const connectAgain = () => connect(running.port, path);
          return { server, running, connectAgain, connection: await connectAgain() };
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

          it('a call that its client takes back is not answered, and no failure of the server', async () => {
            const { server, connection, running } = await open();
            send(connection, 'echo', 1);
            await until('it works', () => answerTo(1).test(connection.text));
            send(connection, 'hold', 5);
            await until('the server has the call', () => server.calls('hold') === 1);
            connection.cancel(5, 'wrong button');
            await until('the server knows', () => server.takenBack.length === 1);
            const isTold = client !== MODERN_HTTP && !kind.startsWith('modern');
            if (isTold) assert.deepEqual(server.takenBack, ['wrong button']);
            server.release();
            send(connection, 'echo', 6);
            await until('the session goes on', () => answerTo(6).test(connection.text));
            if (!isTransparent(client, kind, place)) assert.doesNotMatch(connection.text, /"id":5\b/);
            const outcome = (name: string) => new RegExp(`requests_total\\{[^}]*server="one"[^}]*outcome="${name}`);
            if (!isTransparent(client, kind, place))
              await until('it is counted', async () => outcome('client_gone').test(await running.metrics()));
            const metrics = await running.metrics();
            assert.doesNotMatch(metrics, outcome('upstream_'));
            assert.match(metrics, /postern_relay_upstream_up\{server="one"\} 1/);
          });

          const passes =
            isTransparent(client, kind, place) ||
            (client === MODERN_HTTP && kind.startsWith('modern') && place === 'the server');
          it('an answer above the limit is refused alone, with the limit', async () => {
            const { connection } = await open();
            send(connection, 'large', 1);
            if (passes) return until('it passes', () => connection.text.includes('x'.repeat(100_000)));
            await until('it is refused', () => errorTo(1).test(connection.text));
            assert.match(connection.text, /65536/);
            send(connection, 'echo', 2);
            return until('the session goes on', () => answerTo(2).test(connection.text));
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
