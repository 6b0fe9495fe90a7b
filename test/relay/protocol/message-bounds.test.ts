import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { ask, endAll, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { openWebSocket } from '../support/web-socket.ts';

const ALICE = ['X-Authenticated-User', 'alice'];
const long = (length: number) => 'x'.repeat(length);

const LONG: ReadonlyArray<[string, object]> = [
  ['an id', { id: long(1_025), method: 'tools/list' }],
  ['an id of an answer', { id: long(1_025), result: {} }],
  ['a method', { id: 1, method: long(257) }],
  ['the name of a tool', { id: 1, method: 'tools/call', params: { name: long(8_193) } }],
  ['a URI', { id: 1, method: 'resources/subscribe', params: { uri: `file:///${long(8_193)}` } }],
  ['a template of a completion', { id: 1, method: 'completion/complete', params: { ref: { uri: long(8_193) } } }],
  ['a progress token', { id: 1, method: 'tools/call', params: { name: 'a', _meta: { progressToken: long(1_025) } } }],
  ['the id of what is cancelled', { method: 'notifications/cancelled', params: { requestId: long(1_025) } }],
  [
    'names together',
    { id: 1, method: 'x', params: { notifications: { resourceSubscriptions: Array(40).fill(long(8_000)) } } },
  ],
  ['many names', { id: 1, method: 'x', params: { notifications: { resourceSubscriptions: Array(1_001).fill('a') } } }],
];

describe('what is longer than anybody needs', () => {
  afterEach(endAll);

  for (const [what, message] of LONG)
    it(`${what} is refused without a policy too, and not sent on`, async () => {
      const { url, seen } = await scriptedServer();
      const running = await relay({ servers: { one: { url } } });
      const body = JSON.stringify({ jsonrpc: '2.0', ...message });
      const { status, text } = await ask(running.port, { headers: ALICE, body });
      assert.equal(status, 400, text);
      assert.ok([-32600, -32602].includes(JSON.parse(text).error.code), text);
      assert.ok(text.length < 300);
      assert.equal(seen.length, 0);
    });

  it('an id of so many digits is refused', async () => {
    const { url, seen } = await scriptedServer();
    const running = await relay({ servers: { one: { url } } });
    const body = `{"jsonrpc":"2.0","method":"tools/list","id":${'9'.repeat(1_025)}}`;
    const { status, text } = await ask(running.port, { headers: ALICE, body });
    assert.deepEqual([status, JSON.parse(text).id, seen.length], [400, null, 0]);
  });

  it('what is as long as may be goes on, by every transport', async () => {
    const { url, seen } = await scriptedServer();
    const running = await relay({ servers: { one: { url } } });
    const call = { id: long(1_024), method: 'resources/read', params: { uri: long(8_192) } };
    assert.equal(
      (await ask(running.port, { headers: ALICE, body: JSON.stringify({ jsonrpc: '2.0', ...call }) })).status,
      200,
    );
    const socket = await openWebSocket(running.port);
    await socket.initialize();
    socket.socket.send(JSON.stringify({ jsonrpc: '2.0', ...call, id: long(1_025) }));
    assert.ok((await socket.find(({ id }) => id === null)).error);
    assert.ok((await socket.answerTo(socket.request('resources/read', { uri: long(8_192) }))).result);
    assert.ok((await socket.answerTo(socket.request('resources/read', { uri: long(8_193) }))).error);
    assert.equal(seen.filter((one) => one.message?.method === 'resources/read').length, 2);
  });
});
