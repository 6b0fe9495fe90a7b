import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { afterEach, describe, it } from 'mocha';
import { isAlive } from '../support/alive.ts';
import { until } from '../support/until.ts';
import { ask, ECHO, endAll, onEnd, relay, upstream } from './support/relay.ts';
import { connectAs, sdkClient, TRANSPORTS } from './support/sdk-client.ts';
import { openWebSocket } from './support/web-socket.ts';

const PROGRAM = fileURLToPath(new URL('./support/scripted-program.js', import.meta.url));
const program = (settings: object = {}) => ({ command: process.execPath, args: [PROGRAM], ...settings });
const ALICE = ['X-Authenticated-User', 'alice'];

async function call(client: Client, name: string, args: object = {}): Promise<unknown> {
  const result = await client.callTool({ name, arguments: { ...args } });
  const [content] = result.content as Array<{ text: string }>;
  return JSON.parse(content?.text ?? 'null');
}

/** A server of the sessions' era that says by which name it was reached. */
const named =
  (name: string): RequestListener =>
  (request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const { id, method } = JSON.parse(text === '' ? '{}' : text);
      if (request.method !== 'POST' || id === undefined) return void response.writeHead(202).end();
      const session = method === 'initialize' ? { 'Mcp-Session-Id': `session of ${name}` } : {};
      response.writeHead(200, { 'Content-Type': 'application/json', ...session });
      const result =
        method === 'initialize'
          ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name, version: '1' } }
          : { content: [{ type: 'text', text: JSON.stringify([name, request.headers['mcp-session-id']]) }] };
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
  };

describe('the relay takes another configuration', function () {
  this.timeout(60_000);
  afterEach(endAll);

  it('a narrower policy holds for the next message, on connections that are open too, and a wrong one changes nothing', async () => {
    const servers = { one: program(), two: program() };
    const running = await relay({ servers });
    const held = await connectAs(running.url, 'alice');
    const socket = await openWebSocket(running.port);
    await socket.initialize();
    const rules = (tools: string[]) => [{ who: 'anyone-signed-in', servers: ['one'], tools }];
    await running.reload({ servers, policy: { rules: rules(['pid']) } });
    assert.equal(typeof (await call(held, 'pid')), 'number');
    await assert.rejects(call(held, 'env'), /not allowed|policy|permission/i);
    const asked = socket.request('tools/call', { name: 'env', arguments: {} });
    assert.ok('error' in (await socket.answerTo(asked)), 'on the open WebSocket');
    const elsewhere = await ask(running.port, { path: '/servers/two/mcp', headers: ALICE });
    assert.ok('error' in JSON.parse(elsewhere.text));

    const wrong = { rules: [{ who: 'anyone-signed-in', servers: ['missing'], tools: ['*'] }] };
    await running.reload({ servers, policy: wrong });
    assert.equal(typeof (await call(held, 'pid')), 'number');
    await assert.rejects(call(held, 'env'));
    const said = running.logs.filter((line) => line.includes('the one before goes on'));
    assert.equal(said.length, 1);
    assert.match(String(said[0]), /relay\.policy.*missing/);
    const metrics = await running.metrics();
    assert.match(metrics, /postern_config_reloads_total\{process="relay",outcome="rejected"\} 1/);
    assert.match(metrics, /postern_config_reloads_total\{process="relay",outcome="applied"\} 1/);
  });

  it('a server that stays keeps its sessions and its running calls; a changed one serves new sessions only', async () => {
    const running = await relay({ servers: { one: program(), two: program({ env: { COLOUR: 'old' } }) } });
    const two = running.url.replace('/one/', '/two/');
    const stays = await connectAs(running.url, 'alice');
    const changes = await connectAs(two, 'alice');
    const pids = [await call(stays, 'pid'), await call(changes, 'pid')];
    const slow = call(changes, 'slow', { milliseconds: 600, say: 'done all the same' });
    await running.reload({
      servers: { one: program(), two: program({ env: { COLOUR: 'new' } }), three: program() },
    });
    assert.equal(await slow, 'done all the same');
    assert.deepEqual([await call(stays, 'pid'), await call(changes, 'pid')], pids);
    assert.equal(((await call(changes, 'env')) as Record<string, string>).COLOUR, 'old');
    const begun = await connectAs(two, 'alice');
    assert.equal(((await call(begun, 'env')) as Record<string, string>).COLOUR, 'new');
    const added = await connectAs(running.url.replace('/one/', '/three/'), 'alice');
    assert.equal(typeof (await call(added, 'pid')), 'number');
  });

  it('a changed address: the session goes on where it began, the next one begins at the new place', async () => {
    const [old, fresh] = [await upstream(named('old')), await upstream(named('fresh'))];
    const running = await relay({ servers: { one: { url: old, era: 'legacy' } } });
    const before = await connectAs(running.url, 'alice');
    await running.reload({ servers: { one: { url: fresh, era: 'legacy' } } });
    const after = await connectAs(running.url, 'alice');
    assert.deepEqual(await call(before, 'x'), ['old', 'session of old']);
    assert.deepEqual(await call(after, 'x'), ['fresh', 'session of fresh']);
    // Back again: the first is the current one, and knows its own.
    await running.reload({ servers: { one: { url: old, era: 'legacy' } } });
    assert.deepEqual(await call(before, 'x'), ['old', 'session of old']);
    assert.deepEqual(await call(after, 'x'), ['fresh', 'session of fresh']);
  });

  it('a replaced server ends when nobody has used it for as long as `idleTimeout` says', async () => {
    const one = (colour: string) => program({ env: { COLOUR: colour }, idleTimeout: '1s' });
    const running = await relay({ servers: { one: one('old') } });
    const client = await connectAs(running.url, 'alice');
    const pid = (await call(client, 'pid')) as number;
    await client.close();
    await running.reload({ servers: { one: one('new') } });
    await until('its program has ended', () => !isAlive(pid));
  });

  it('a removed server ends its sessions: connections are told, a running call is answered, its program ends', async () => {
    const running = await relay({ servers: { one: program(), two: program() } }, { drain: '5s' });
    const session = await connectAs(running.url, 'alice');
    const pid = (await call(session, 'pid')) as number;
    const slow = call(session, 'slow', { milliseconds: 500, say: 'answered' });
    const socket = await openWebSocket(running.port);
    await socket.initialize();
    const other = await connectAs(running.url.replace('/one/', '/two/'), 'alice');
    await running.reload({ servers: { two: program() } });
    const [code, reason] = await socket.closed;
    assert.deepEqual([code, reason], [1001, 'this MCP server is no longer configured']);
    assert.equal(await slow, 'answered');
    await until('its program has ended', () => !isAlive(pid));
    assert.equal((await ask(running.port, { headers: ALICE })).status, 404);
    assert.equal(typeof (await call(other, 'pid')), 'number');
    assert.match(await running.metrics(), /postern_relay_streams_ended_total\{reason="server_removed"\} [1-9]/);
  });

  it('a connection ends that the new policy would not open', async () => {
    const servers = { one: program() };
    const running = await relay({ servers });
    const [alice, bob] = [await openWebSocket(running.port, 'alice'), await openWebSocket(running.port, 'bob')];
    await bob.initialize();
    const rules = [{ who: { users: ['bob'] }, servers: ['*'], tools: ['*'] }];
    await running.reload({ servers, policy: { rules } });
    assert.equal((await alice.closed)[0], 1008);
    const asked = bob.request('tools/call', { name: 'pid', arguments: {} });
    assert.ok('result' in (await bob.answerTo(asked)));
  });

  it('all servers as one: what is added is there in the same session', async () => {
    const aggregate = (servers: string[]) => ({ servers });
    const running = await relay({ servers: { one: program() }, aggregate: aggregate(['one']) });
    const client = await connectAs(`http://127.0.0.1:${running.port}/mcp`, 'alice');
    const owners = async () => new Set((await client.listTools()).tools.map(({ name }) => name.split(/[._-]/)[0]));
    assert.deepEqual(await owners(), new Set(['one']));
    await running.reload({ servers: { one: program(), two: program() }, aggregate: aggregate(['one', 'two']) });
    assert.deepEqual(await owners(), new Set(['one', 'two']));
    await running.reload({ servers: { two: program() }, aggregate: aggregate(['two']) });
    assert.deepEqual(await owners(), new Set(['two']));
    await running.reload({ servers: { two: program() } });
    await assert.rejects(client.listTools());
  });

  it('trust, limits and pins', async () => {
    const url = await upstream(ECHO);
    const servers = { one: { url } };
    const secret = (text: string) => ['X-Postern-Proxy-Secret', text, ...ALICE];
    const running = await relay({ servers, trust: { secret: 'the first secret' } });
    const status = async (headers: string[], body?: string) =>
      (await ask(running.port, { headers, ...(body === undefined ? {} : { body }) })).status;
    assert.equal(await status(secret('the first secret')), 200);
    await running.reload({ servers, trust: { secret: 'the second secret' }, limits: { maxBody: '1KiB' } });
    assert.deepEqual([await status(secret('the first secret')), await status(secret('the second secret'))], [401, 200]);
    const long = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x'.repeat(2_000) } });
    assert.equal(await status(secret('the second secret'), long), 413);
    await running.reload({ servers, rateLimits: [{ by: 'user', limit: 1, per: '1h' }] });
    assert.deepEqual([await status(ALICE), await status(ALICE)], [200, 429]);
    await running.reload({ servers, pins: { servers: ['*'], newTools: 'hold' } });
    assert.ok('error' in JSON.parse((await ask(running.port, { headers: ALICE })).text));
    await running.reload({ servers, budgets: { identity: { maxRequests: 1 } } });
    assert.equal(await status(ALICE), 200);
  });

  it('names the keys that wait for a restart', async () => {
    const running = await relay({ servers: {} });
    await running.reload({ servers: {}, limits: { maxHeaders: '128KiB' }, sessionKey: 'A'.repeat(43) });
    const said = running.logs.find((line) => line.includes('restart for their new values'));
    assert.match(String(said), /"paths":\["relay\.sessionKey","relay\.limits\.maxHeaders"\]/);
    assert.ok(!String(said).includes('AAAA'));
  });

  it('a server’s certificate authority is read again with the file that names it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-reload-'));
    onEnd(() => rm(folder, { recursive: true }));
    const caPath = join(folder, 'ca.pem');
    const one = { url: 'https://127.0.0.1:1/mcp', tls: { caPath } };
    writeFileSync(caPath, 'no certificate\n');
    const running = await relay({ servers: {} });
    await running.reload({ servers: { one } });
    assert.equal((await ask(running.port, { headers: ALICE })).status, 404);
    assert.match(running.logs.join(''), /relay\.servers\.one\.tls\.caPath/);
    assert.equal(readFileSync(caPath, 'utf8'), 'no certificate\n');
  });

  for (const transport of ['websocket', 'http-sse'] as const)
    it(`${transport}: a connection outlives ten reloads, with calls under way`, async () => {
      const servers = { one: program() };
      const running = await relay({ servers });
      const client = sdkClient();
      await client.connect(TRANSPORTS[transport](running.port, 'alice'));
      const pid = await call(client, 'pid');
      for (let round = 0; round < 10; round++) {
        const under = call(client, 'slow', { milliseconds: 50, say: round });
        await running.reload({ servers: { ...servers, [`more-${round}`]: program() } });
        assert.equal(await under, round);
      }
      assert.equal(await call(client, 'pid'), pid);
    });
});
