import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { ask, endAll, relay } from '../support/relay.ts';
import { serverWithSessions } from './support/server-with-sessions.ts';
import { serverWithoutSessions } from './support/server-without-sessions.ts';
import { answerLegacy, askLegacy, askModern, type Json, openLegacy, openSession } from './support/wire.ts';

async function start(settings: Record<string, unknown> = {}) {
  const server = await serverWithSessions();
  const running = await relay({ servers: { one: { url: server.url } }, ...settings });
  return { server, port: running.port };
}

const ANSWERS = { 'elicitation/create-0': { action: 'accept', content: { username: 'x' } } };

async function question(port: number) {
  const { result } = await askModern(port, 'alice', 'tools/call', { name: 'two_questions' });
  assert.equal(result?.resultType, 'input_required');
  const { inputRequests, requestState } = result as { inputRequests: Json; requestState: string };
  const given = Object.fromEntries(Object.keys(inputRequests).map((key) => [key, ANSWERS['elicitation/create-0']]));
  return { requestState, inputResponses: given };
}

describe('the era bridge under attack', function () {
  this.timeout(30_000);
  afterEach(endAll);

  it('a call that waits for alice cannot be answered by bob, and is still there for her', async () => {
    const { port } = await start();
    const answered = await question(port);
    const stolen = await askModern(port, 'bob', 'tools/call', { name: 'two_questions', ...answered });
    assert.deepEqual([stolen.error?.code, stolen.result], [-32602, undefined]);
    const own = await askModern(port, 'alice', 'tools/call', { name: 'two_questions', ...answered });
    assert.equal(own.result?.resultType, 'input_required');
  });

  it('an answer is taken once, and only by the request that was asked', async () => {
    const { port } = await start();
    const answered = await question(port);
    const other = await askModern(port, 'alice', 'tools/call', { name: 'session', ...answered });
    assert.equal(other.error?.code, -32602);
    await askModern(port, 'alice', 'tools/call', { name: 'two_questions', ...answered });
    const again = await askModern(port, 'alice', 'tools/call', { name: 'two_questions', ...answered });
    assert.equal(again.error?.code, -32602);
    const invented = { ...answered, requestState: `postern.${'0'.repeat(36)}` };
    assert.equal(
      (await askModern(port, 'alice', 'tools/call', { name: 'two_questions', ...invented })).error?.code,
      -32602,
    );
  });

  it('an answer that is none does not reach the server', async () => {
    const { port } = await start();
    const { requestState, inputResponses } = await question(port);
    const broken = Object.fromEntries(Object.keys(inputResponses).map((key) => [key, 'text']));
    const refused = await askModern(port, 'alice', 'tools/call', {
      name: 'two_questions',
      requestState,
      inputResponses: broken,
    });
    assert.equal(refused.error?.code, -32602);
  });

  it('nobody teaches the relay that a server of sessions is one without', async () => {
    const { port } = await start();
    const facts = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'mallory', version: '1' } };
    for (const method of ['initialize', 'ping', 'resources/subscribe'])
      await askModern(port, 'mallory', method, { ...facts, uri: 'test://watched' });
    const { result } = await askModern(port, 'alice', 'tools/call', { name: 'session' });
    assert.ok(result?.content);
  });

  it('no session is shared between two identities', async () => {
    const { server, port } = await start();
    const [hers, his] = [
      await askModern(port, 'alice', 'tools/call', { name: 'session' }),
      await askModern(port, 'bob', 'tools/call', { name: 'session' }),
    ];
    assert.notDeepEqual(hers.result?.content, his.result?.content);
    assert.equal(server.sessions.size, 2);
  });

  it('a tool that the policy denies is neither called nor listed, nor reached by the answer to a question', async () => {
    const policy = { rules: [{ who: { users: ['alice'] }, servers: ['one'], tools: ['two_questions'] }] };
    const { server, port } = await start({ policy });
    const denied = await askModern(port, 'alice', 'tools/call', { name: 'session' });
    assert.equal(denied.result, undefined);
    assert.match(String(denied.error?.message), /session/);
    const { result } = await askModern(port, 'alice', 'tools/list');
    assert.deepEqual(
      ((result as Json).tools as Json[]).map(({ name }) => name),
      ['two_questions'],
    );
    const answered = await question(port);
    const retried = await askModern(port, 'alice', 'tools/call', { name: 'session', ...answered });
    assert.equal(retried.result, undefined);
    assert.ok(!server.finished.includes('session'));
  });

  it('the session of a server without sessions is worth nothing to anybody else, nor at another server', async () => {
    const stateless = await serverWithoutSessions();
    const { port } = await relay({ servers: { one: { url: stateless.url }, two: { url: stateless.url } } });
    const session = await openSession(port, 'alice');
    assert.equal((await askLegacy(port, 'alice', session, 'ping')).status, 200);
    assert.equal((await askLegacy(port, 'bob', session, 'ping')).status, 404);
    const invented = `postern-era.${Buffer.from('x').toString('base64url')}`;
    assert.equal((await askLegacy(port, 'bob', invented, 'ping')).status, 404);
    const headers = ['X-Authenticated-User', 'alice', 'Mcp-Session-Id', session];
    assert.equal((await ask(port, { headers, path: '/servers/two/mcp' })).status, 404);
  });

  it('a tool that the policy denies is denied to clients of sessions at such a server, and not listed', async () => {
    const stateless = await serverWithoutSessions();
    const policy = { rules: [{ who: { users: ['alice'] }, servers: ['one'], tools: ['numbers'] }] };
    const { port } = await relay({ servers: { one: { url: stateless.url } }, policy });
    const session = await openSession(port, 'alice');
    const denied = await askLegacy(port, 'alice', session, 'tools/call', { name: 'secret' });
    assert.match(denied.text, /"error"/);
    assert.deepEqual(stateless.asked, []);
    const listed = JSON.parse((await askLegacy(port, 'alice', session, 'tools/list')).text);
    assert.deepEqual(
      listed.result.tools.map(({ name }: Json) => name),
      ['numbers'],
    );
    const subscribed = await askLegacy(port, 'alice', session, 'resources/subscribe', { uri: 'test://watched' });
    assert.match(subscribed.text, /"error"/);
  });

  it('a question to alice cannot be answered from another session, not even by its id', async () => {
    const stateless = await serverWithoutSessions();
    const { port } = await relay({ servers: { one: { url: stateless.url } } });
    const [hers, his] = [await openSession(port, 'alice'), await openSession(port, 'bob')];
    const stream = openLegacy(port, 'alice', hers, 'tools/call', { name: 'asks_again_and_again' });
    await until('she is asked', () => stream.messages.length === 1);
    const { id } = stream.messages[0] as { id: string };
    await answerLegacy(port, 'bob', his, { id, result: { action: 'accept', content: {} } });
    await answerLegacy(port, 'alice', await openSession(port, 'alice'), {
      id,
      result: { action: 'accept', content: {} },
    });
    await askLegacy(port, 'bob', his, 'ping');
    assert.equal(stream.messages.length, 1);
    await answerLegacy(port, 'alice', hers, { id, result: { action: 'accept', content: {} } });
    await until('she is asked the next', () => stream.messages.length === 2);
    stream.close();
  });
});
