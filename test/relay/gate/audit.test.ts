import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, endAll, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { openWebSocket } from '../support/web-socket.ts';

type Json = Record<string, unknown>;

const ALICE = ['X-Authenticated-User', 'alice', 'X-Authenticated-Method', 'session', 'X-Request-Id', 'r-1'];

describe('the audit log of the relay', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-audit-'));
  });
  afterEach(async () => {
    await endAll();
    rmSync(folder, { recursive: true });
  });
  const file = () => ({ path: join(folder, '{process}.jsonl') });
  const lines = () =>
    readFileSync(join(folder, 'relay.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Json);

  const call = (port: number, params: Json, headers = ALICE) =>
    ask(port, { headers, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }) });

  it('says who called what, with which outcome, and only the arguments that are listed', async () => {
    const { url } = await scriptedServer();
    const running = await relay(
      { servers: { one: { url } }, policy: { rules: [{ effect: 'deny', tools: ['merge'] }, {}] } },
      { audit: { file: file(), arguments: [{ tools: ['search'], names: ['q', 'password'] }] } },
    );
    await call(running.port, { name: 'search', arguments: { q: 'x', password: 'hunter2', other: 'secret thing' } });
    await call(running.port, { name: 'merge\n{"event":"forged"}' });
    await call(running.port, { name: 'merge' });
    await ask(running.port, { path: '/servers/two/mcp', headers: ALICE });
    await ask(running.port, { headers: [] });
    const client = await openWebSocket(running.port, 'bob');
    await client.initialize();
    await client.answerTo(client.request('tools/call', { name: 'merge' }));
    client.socket.send('{"no": "message"}');
    await client.find(({ id }) => id === null);
    await running.close();
    const [admitted, searched, forged, , merged, , nobody] = lines();
    const { time, call: number, arguments: given, ...rest } = admitted as Json;
    const { durationMs, ...outcome } = searched as Json;
    assert.deepEqual({ ...outcome, time }, { ...rest, time, call: number, outcome: 'relayed' });
    assert.match(String(number), /^[0-9a-f-]{36}$/);
    assert.ok(typeof time === 'string' && typeof durationMs === 'number');
    assert.deepEqual(rest, {
      process: 'relay',
      event: 'tool_call',
      outcome: 'admitted',
      user: 'alice',
      credential: 'session',
      via: 'proxy',
      server: 'one',
      action: 'tools/call',
      object: 'search',
      requestId: 'r-1',
      rule: 'relay.policy.rules[1]',
    });
    assert.deepEqual(given, { q: 'x', password: '[redacted]' });
    assert.doesNotMatch(String(forged?.object), /\n/);
    assert.equal(lines().filter(({ event }) => event === 'forged').length, 0);
    assert.deepEqual([merged?.event, merged?.reason, merged?.rule], ['denial', 'rule', 'relay.policy.rules[0]']);
    assert.deepEqual([nobody?.event, nobody?.reason, nobody?.via], ['denial', 'no_identity', 'none']);
    const ofBob = lines().filter(({ user }) => user === 'bob');
    assert.deepEqual(
      ofBob.filter(({ event }) => event === 'denial').map(({ reason }) => reason),
      ['rule', 'invalid_message'],
    );
    for (const [event, action] of [
      ['message', 'initialize'],
      ['denial', 'tools/call'],
    ])
      assert.equal(ofBob.filter((line) => line.event === event && line.action === action).length, 1);
    assert.doesNotMatch(readFileSync(join(folder, 'relay.jsonl'), 'utf8'), /hunter2|secret thing/);
  });

  it('samples what is allowed, and never denials nor tool calls', async () => {
    const { url } = await scriptedServer();
    const running = await relay(
      { servers: { one: { url } }, policy: { rules: [{ methods: ['other/*'] }, { tools: ['search'] }] } },
      { audit: { file: file(), sampleAllows: 0 } },
    );
    await ask(running.port, { headers: ALICE, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }) });
    await call(running.port, { name: 'search' });
    await call(running.port, { name: 'merge' });
    await running.close();
    assert.deepEqual(
      lines().map(({ event }) => event),
      ['tool_call', 'tool_call', 'denial'],
    );
  });

  it('on a full disk drops and counts, or refuses, as configured', async function () {
    if (process.platform !== 'linux') this.skip();
    symlinkSync('/dev/full', join(folder, 'relay.jsonl'));
    const { url } = await scriptedServer();
    const dropping = await relay({ servers: { one: { url } } }, { audit: { file: file(), maxQueue: 2 } });
    for (let turn = 0; turn < 4; turn++) assert.equal((await call(dropping.port, { name: 'search' })).status, 200);
    assert.match(await dropping.metrics(), /postern_audit_dropped_total\{sink="file"\} 6/);
    assert.ok(dropping.logs.some((line) => line.includes('the audit log cannot be written')));
    const refusing = await relay(
      { servers: { one: { url } } },
      { audit: { file: file(), maxQueue: 2, whenFull: 'refuse' } },
    );
    const statuses = [];
    for (let turn = 0; turn < 3; turn++) statuses.push((await call(refusing.port, { name: 'search' })).status);
    // Each call has two lines.
    assert.deepEqual(statuses, [200, 503, 503]);
  });
});
