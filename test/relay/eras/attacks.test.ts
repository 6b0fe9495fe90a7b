import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { endAll, relay } from '../support/relay.ts';
import { serverWithSessions } from './support/server-with-sessions.ts';
import { askModern, type Json } from './support/wire.ts';

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
});
