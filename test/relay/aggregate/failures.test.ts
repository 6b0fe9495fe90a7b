import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import {
  PromptListChangedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, it } from 'mocha';
import type { Json } from '../../../src/relay/protocol/json-rpc.ts';
import { freePorts } from '../../support/free-port.ts';
import { endAll, relay, upstream } from '../support/relay.ts';
import { event, openStream, scriptedServer } from '../support/scripted-server.ts';
import { sdkClient } from '../support/sdk-client.ts';
import { aggregate, legacyClient, modernClient, openSession, send, TIMES, until, whole } from './support.ts';

/** A server of the sessions' era with these tools, in pages of two. */
function toolServer(
  tools: readonly string[],
  more: (message: Json, response: ServerResponse) => boolean = () => false,
) {
  return scriptedServer({
    post: (message, response) => {
      if (more(message, response)) return true;
      const { id, method, params } = message;
      const reply = (result: Json) => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
        return true;
      };
      if (method === 'initialize')
        return reply({
          protocolVersion: '2025-06-18',
          capabilities: { tools: {} },
          serverInfo: { name: 'tools', version: '1' },
        });
      if (method !== 'tools/list') return undefined;
      const start = Number((params as Json | undefined)?.cursor ?? 0);
      const page = tools.slice(start, start + 2).map((name) => ({ name, inputSchema: { type: 'object' } }));
      return reply({ tools: page, ...(start + 2 < tools.length ? { nextCursor: String(start + 2) } : {}) });
    },
  });
}

const hanging = () => upstream(() => {});

describe('all servers as one, when some of them fail', function () {
  this.timeout(60_000);
  afterEach(endAll);

  it('one that hangs and one that is dead cost the others nothing, and are named', async () => {
    const [dead] = (await freePorts(1)) as [number];
    const good = await whole('legacy');
    const servers = { slow: { url: await hanging() }, dead: { url: `http://127.0.0.1:${dead}/mcp` }, good };
    const running = await aggregate(servers, { timeout: '1s' });
    for (const open of [legacyClient, modernClient]) {
      const client = await open(running);
      const { tools, _meta } = await client.listTools();
      assert.ok(tools.length > 0 && tools.every(({ name }) => name.startsWith('good__')));
      assert.deepEqual(_meta?.['postern/unavailable'], [
        { server: 'slow', reason: 'timeout' },
        { server: 'dead', reason: 'unreachable' },
      ]);
      const { content } = await client.callTool({ name: 'good__test_simple_text' });
      assert.match(JSON.stringify(content), /simple text/);
      await assert.rejects(client.callTool({ name: 'dead__x' }), /cannot be reached/);
    }
    const metrics = await running.metrics();
    assert.match(metrics, /upstream_up\{server="good"\} 1/);
    assert.match(metrics, /upstream_up\{server="dead"\} 0/);
    assert.match(metrics, /upstream_up\{server="slow"\} 0/);
    assert.match(metrics, /requests_total\{server="slow",method="\w+",outcome="upstream_timeout"\} [1-9]/);
    assert.match(metrics, /requests_total\{server="good",method="\w+",outcome="relayed"\} [1-9]/);
    assert.doesNotMatch(metrics, /upstream_up\{server="\*"\}/);
  });

  it('one that hung is not waited for again: not by its user, and by others beside their lists', async () => {
    let hangs = true;
    let asked = 0;
    const events: string[] = [];
    const { url } = await toolServer(['one'], (_message, response) => {
      asked += 1;
      if (hangs) response.once('close', () => events.push('given up'));
      return hangs;
    });
    const good = await whole('legacy');
    const running = await aggregate({ good, slow: { url } }, { timeout: '4s' });
    // Without a stream, on which the relay would look for the server.
    const open = async (user: string) => {
      const session = await openSession(running, user);
      return async () => {
        const { text } = await send(running, { id: 2, method: 'tools/list' }, session, user);
        const { tools, _meta } = JSON.parse(text).result as { tools: Array<{ name: string }>; _meta?: Json };
        assert.ok(tools.some(({ name }) => name.startsWith('good__')));
        return _meta?.['postern/unavailable'];
      };
    };
    const alice = await open('alice');
    const before = asked;
    assert.ok(before > 0, 'the handshake waited for it once');
    for (let time = 0; time < 3; time++) assert.deepEqual(await alice(), [{ server: 'slow', reason: 'timeout' }]);
    assert.equal(asked, before, 'its user is not made to wait for it again');

    events.length = 0;
    const bob = await open('bob');
    events.push('bob is answered');
    assert.ok(asked > before, 'others ask it');
    await until(() => events.length >= 2);
    assert.equal(events[0], 'bob is answered', 'and before it is given up');

    hangs = false;
    const carol = await open('carol');
    assert.equal(await carol(), undefined, 'who was not made to wait has it again at once');
    for (const list of [alice, bob]) await until(async () => (await list()) === undefined);
  });

  it('one that comes back is announced, in both eras', async () => {
    const [port] = (await freePorts(1)) as [number];
    const good = await whole('legacy');
    const running = await aggregate({ good, late: { url: `http://127.0.0.1:${port}/mcp` } }, { timeout: '10s' });
    const client = sdkClient();
    const announced: string[] = [];
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void announced.push('tools'));
    client.setNotificationHandler(PromptListChangedNotificationSchema, () => void announced.push('prompts'));
    await legacyClient(running, 'alice', client);
    const stateless = await modernClient(running);
    stateless.setNotificationHandler('notifications/tools/list_changed', () => void announced.push('modern tools'));
    await stateless.listen({ toolsListChanged: true });
    assert.ok((await client.listTools()).tools.every(({ name }) => name.startsWith('good__')));
    await whole('legacy', port);
    await until(() => ['tools', 'prompts', 'modern tools'].every((what) => announced.includes(what)));
    const { tools, _meta } = await client.listTools();
    assert.ok(tools.some(({ name }) => name === 'late__test_simple_text'));
    assert.equal(_meta, undefined);
    assert.ok((await stateless.listTools()).tools.some(({ name }) => name === 'late__test_simple_text'));
  });

  it('an answer of 100 MiB is an error of that call alone', async () => {
    const big = await toolServer(['big'], ({ id, method }, out) => {
      if (method !== 'tools/call') return false;
      out.writeHead(200, { 'Content-Type': 'application/json' });
      out.write(`{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"`);
      const piece = 'x'.repeat(1024 * 1024);
      let left = 100;
      const more = () => {
        while (left-- > 0) if (!out.write(piece)) return void out.once('drain', more);
        out.end('"}]}}');
      };
      more();
      return true;
    });
    const running = await aggregate({ big, good: await whole('legacy') });
    const client = await legacyClient(running);
    const calls = await Promise.allSettled([
      client.callTool({ name: 'big__big' }),
      client.callTool({ name: 'good__test_simple_text' }),
    ]);
    assert.equal(calls[1].status, 'fulfilled');
    assert.match(String((calls[0] as PromiseRejectedResult).reason), /larger than \d+ bytes/);
    assert.equal((await client.listTools()).tools[0]?.name, 'big__big');
  });

  it('a page of HTML and a stream that never ends are no answers, and the others do not wait for them', async () => {
    const html = await upstream((request, response) => {
      request.resume();
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Welcome</h1>');
    });
    let flooding = 0;
    const endless = await toolServer(['flood'], ({ id, method }, out) => {
      if (method === 'server/discover') {
        const error = { code: -32601, message: 'Method not found' };
        out.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, error }));
        return true;
      }
      if (method !== 'tools/list' && method !== 'tools/call') return false;
      openStream(out);
      // One event without an end, as fast as it is taken.
      out.write('data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"');
      const more = () => {
        while (!out.destroyed) if (!out.write('x'.repeat(65_536))) return void out.once('drain', more);
      };
      more();
      flooding += 1;
      out.on('close', () => {
        flooding -= 1;
      });
      return true;
    });
    const running = await aggregate({ html: { url: html }, endless, good: await whole('legacy') });
    for (const open of [legacyClient, modernClient]) {
      const client = await open(running);
      const { tools, _meta } = await client.listTools();
      assert.ok(tools.length > 0 && tools.every(({ name }) => name.startsWith('good__')));
      assert.match(JSON.stringify(_meta), /"html".*"endless"/);
      await assert.rejects(client.callTool({ name: 'endless__flood' }), /larger than \d+ bytes/);
      await assert.rejects(client.callTool({ name: 'html__any' }), (error: Error) => !/Welcome/.test(error.message));
      const { content } = await client.callTool({ name: 'good__test_simple_text' });
      assert.ok(content);
    }
    await until(() => flooding === 0);
  });

  it('pages of several servers are put together, and a cursor that was made up asks nobody', async () => {
    const one = await toolServer(['a', 'b', 'c']);
    const two = await toolServer(['a', 'b', 'c', 'd', 'e']);
    const running = await aggregate({ one, two });
    const session = await openSession(running);
    const list = async (cursor: unknown, user = 'alice') => {
      const reply = await send(running, { id: 2, method: 'tools/list', params: { cursor } }, session, user);
      return JSON.parse(reply.text);
    };
    const names = ({ result }: { result: { tools: Array<{ name: string }> } }) => result.tools.map(({ name }) => name);
    const first = await list(undefined);
    assert.deepEqual(names(first), ['one__a', 'one__b', 'two__a', 'two__b']);
    const second = await list(first.result.nextCursor);
    assert.deepEqual(names(second), ['one__c', 'two__c', 'two__d']);
    assert.deepEqual(names(await list(second.result.nextCursor)), ['two__e']);
    const before = one.seen.length;
    for (const cursor of ['2', `${first.result.nextCursor}x`, Buffer.from('[["one","2"]]').toString('base64url'), 7])
      assert.equal((await list(cursor)).error.code, -32602);
    assert.equal(one.seen.length, before, 'no server was asked');
  });

  it('a client that answers a question nobody asked reaches no server', async () => {
    const one = await toolServer(['a']);
    const running = await aggregate({ one });
    const session = await openSession(running);
    const before = one.seen.length;
    for (const id of [1, 'x', 'WyJvbmUiLDFd.AAAA', `${Buffer.from('["one",1]').toString('base64url')}.`])
      assert.equal((await send(running, { id, result: { roots: [] } }, session)).status, 202);
    await send(running, { id: 9, method: 'ping' }, session);
    assert.equal(one.seen.length, before);
  });

  it('a server cannot move the progress of a call to another one', async () => {
    const says = (token: string) =>
      toolServer(['go'], ({ id, method }, out) => {
        if (method !== 'tools/call') return false;
        openStream(out);
        out.write(event({ method: 'notifications/progress', params: { progressToken: token, progress: 1 } }));
        out.end(event({ id, result: { content: [] } }));
        return true;
      });
    const running = await aggregate({ honest: await says('mine'), liar: await says('yours') });
    const session = await openSession(running);
    const call = (name: string) =>
      send(running, { id: 3, method: 'tools/call', params: { name, _meta: { progressToken: 'mine' } } }, session);
    assert.match((await call('honest__go')).text, /notifications\/progress/);
    assert.doesNotMatch((await call('liar__go')).text, /notifications\/progress/);
  });
});

describe('sessions with all servers as one', function () {
  this.timeout(60_000);
  afterEach(endAll);

  it('go on at another replica with the servers’ own sessions, and belong to their user', async () => {
    const one = await toolServer(['a']);
    const first = await aggregate({ one });
    const second = await aggregate({ one });
    const session = await openSession(first);
    const call = { id: 2, method: 'tools/call', params: { name: 'one__a' } };
    for (const replica of [second, first, second]) assert.match((await send(replica, call, session)).text, /"result"/);
    const opened = one.seen.filter(({ message }) => message?.method === 'initialize');
    assert.equal(opened.length, 1, 'the server has one session of this client');
    assert.equal((await send(second, call, session, 'mallory')).status, 404);
    assert.equal((await send(second, call, ['Mcp-Session-Id', 'made-up'])).status, 404);
    // 2025-11-25, session management: 400 where the header is missing.
    assert.equal((await send(second, call)).status, 400);
  });

  it('are opened anew at a server that has forgotten its own', async () => {
    const [port] = (await freePorts(1)) as [number];
    const restarted = await whole('legacy', port);
    const client = await legacyClient(await aggregate({ restarted }));
    assert.ok((await client.listTools()).tools.length > 0);
    await restarted.stop();
    await assert.rejects(client.callTool({ name: 'restarted__test_simple_text' }), /cannot be reached/);
    await whole('legacy', port);
    const { content } = await client.callTool({ name: 'restarted__test_simple_text' });
    assert.match(JSON.stringify(content), /simple text/);
  });

  it('a request that is taken back is taken back at its server', async () => {
    let waiting: unknown;
    const slow = await toolServer(['wait'], ({ id, method }, out) => {
      if (method !== 'tools/call') return false;
      waiting = id;
      openStream(out);
      return true;
    });
    const running = await aggregate({ slow, other: await whole('legacy') });
    const client = await legacyClient(running);
    const taken = new AbortController();
    const call = client.callTool({ name: 'slow__wait' }, undefined, { signal: taken.signal });
    call.catch(() => {});
    await until(() => waiting !== undefined);
    taken.abort('enough');
    await until(() =>
      slow.seen.some(
        ({ message }) =>
          message?.method === 'notifications/cancelled' && (message.params as Json).requestId === waiting,
      ),
    );
  });

  it('without relay.aggregate there is no such server', async () => {
    const running = await relay(
      { servers: { one: await toolServer([]).then(({ url }) => ({ url })) } },
      { times: TIMES },
    );
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    assert.equal((await send(running, { id: 1, method: 'initialize', params })).status, 404);
  });
});
