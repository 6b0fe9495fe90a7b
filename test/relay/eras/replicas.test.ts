import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { programOrSkip } from '../../support/programs.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { ask, endAll, relay } from '../support/relay.ts';
import { serverWithSessions } from './support/server-with-sessions.ts';
import { serverWithoutSessions } from './support/server-without-sessions.ts';
import {
  answerLegacy,
  askLegacy,
  askModern,
  type Json,
  listenLegacy,
  openLegacy,
  openSession,
} from './support/wire.ts';

describe('clients of either era that change between two replicas', function () {
  this.timeout(60_000);
  let redis: RedisServer;
  let sessionKey: string;

  before(async function () {
    redis = await startRedis(await programOrSkip(this, 'redis'));
  });
  after(() => redis?.stop());
  beforeEach(() => {
    sessionKey = randomBytes(32).toString('base64url');
  });
  afterEach(endAll);

  async function two(url: string): Promise<[number, number]> {
    const settings = { servers: { one: { url } }, sessionKey };
    const [first, second] = [
      await relay(settings, { redis: { url: redis.url } }),
      await relay(settings, { redis: { url: redis.url } }),
    ];
    return [first.port, second.port];
  }

  it('a question that one replica asks is answered at the other', async () => {
    const [first, second] = await two((await serverWithoutSessions()).url);
    const session = await openSession(first, 'alice');
    const call = openLegacy(first, 'alice', session, 'tools/call', { name: 'asks_again_and_again' });
    await until('she is asked', () => call.messages.length === 1);
    const result = { action: 'accept', content: {} };
    // Somebody else's answer goes nowhere, here as there.
    const his = await openSession(second, 'bob');
    await answerLegacy(second, 'bob', his, { id: call.messages[0]?.id, result });
    await answerLegacy(second, 'alice', session, { id: call.messages[0]?.id, result });
    await until('she is asked the next', () => call.messages.length === 2);
    call.close();
  });

  it('a request is taken back, resources are subscribed to and the level is set at the other', async () => {
    const server = await serverWithoutSessions();
    const [first, second] = await two(server.url);
    const session = await openSession(first, 'alice');
    const call = openLegacy(first, 'alice', session, 'tools/call', { name: 'waits' });
    await until('the call is there', () => server.asked.includes('waits'));
    await answerLegacy(second, 'alice', session, { method: 'notifications/cancelled', params: { requestId: 1 } });
    await until('the server knows', () => server.cancelled.includes('waits'));
    call.close();

    const stream = listenLegacy(first, 'alice', session);
    await askLegacy(second, 'alice', session, 'resources/subscribe', { uri: 'test://watched' });
    await until('it is told', () => {
      server.notify.resourceUpdated('test://watched');
      return stream.messages.length > 0;
    });
    stream.close();

    await askLegacy(second, 'alice', session, 'logging/setLevel', { level: 'info' });
    await until('the other knows', async () =>
      /logged/.test((await askLegacy(first, 'alice', session, 'tools/call', { name: 'logs' })).text),
    );
    const ended = ['X-Authenticated-User', 'alice', 'Mcp-Session-Id', session];
    assert.equal((await ask(second, { method: 'DELETE', headers: ended })).status, 200);
    await until(
      'it has ended there too',
      async () => (await askLegacy(first, 'alice', session, 'ping')).status === 404,
    );
  });

  it('a call that waits in one replica goes on at the other, for its owner alone', async () => {
    const server = await serverWithSessions();
    const [first, second] = await two(server.url);
    const name = 'two_questions';
    const answered = ({ result }: { result?: Json }): Json => {
      const { inputRequests, requestState } = result as { inputRequests: Json; requestState: string };
      const given = { action: 'accept', content: { username: 'x' } };
      return {
        requestState,
        inputResponses: Object.fromEntries(Object.keys(inputRequests).map((key) => [key, given])),
      };
    };
    const one = answered(await askModern(first, 'alice', 'tools/call', { name }));
    const stolen = await askModern(second, 'bob', 'tools/call', { name, ...one });
    assert.equal(stolen.error?.code, -32602);
    const other = answered(await askModern(second, 'alice', 'tools/call', { name, ...one }));
    const end = await askModern(second, 'alice', 'tools/call', { name, ...other });
    assert.match(JSON.stringify(end.result?.content), /x.*x/);
    assert.deepEqual(server.finished, [name]);
    const again = await askModern(second, 'alice', 'tools/call', { name, ...other });
    assert.equal(again.error?.code, -32602);
  });
});
