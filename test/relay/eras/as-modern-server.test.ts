import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { ask, endAll, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { askModern, type Json, modernRequest } from './support/wire.ts';

const PROGRAM = fileURLToPath(new URL('../support/scripted-program.js', import.meta.url));
const META = 'io.modelcontextprotocol/';

/** Where the relay itself answers stateless clients: a server with sessions, a program, and all as one. */
const PLACES: Readonly<Record<string, readonly [path: string, prefix: string]>> = {
  'a server with sessions': ['/servers/one/mcp', ''],
  'a program': ['/servers/two/mcp', ''],
  'all as one': ['/mcp', 'one__'],
};

async function start(script: Parameters<typeof scriptedServer>[0] = {}, settings: object = {}) {
  const { url } = await scriptedServer(script);
  const servers = { one: { url, era: 'legacy' }, two: { command: process.execPath, args: [PROGRAM] } };
  return (await relay({ servers, aggregate: { servers: ['one', 'two'], timeout: '10s' }, ...settings })).port;
}

describe('the relay as a server of the stateless era', function () {
  this.timeout(30_000);
  afterEach(endAll);

  for (const [place, [path]] of Object.entries(PLACES)) {
    for (const [what, meta] of [
      ['revision', { [`${META}protocolVersion`]: undefined }],
      ['abilities', { [`${META}clientCapabilities`]: undefined }],
      ['abilities that are an object', { [`${META}clientCapabilities`]: ['elicitation'] }],
    ] as const)
      it(`refuses a request without ${what}: ${place}`, async () => {
        const { status, error } = await askModern(await start(), 'alice', 'tools/list', {}, meta, path);
        assert.deepEqual([status, error?.code], [400, -32602], error?.message);
        assert.match(error?.message ?? '', /io\.modelcontextprotocol/);
      });

    it(`needs no name of the client: ${place}`, async () => {
      const nameless = { [`${META}clientInfo`]: undefined };
      assert.equal((await askModern(await start(), 'alice', 'tools/list', {}, nameless, path)).status, 200);
    });

    it(`names the revisions that it speaks to a client of another one: ${place}`, async () => {
      const { headers, body } = modernRequest('alice', 'tools/list');
      const later = { headers: headers.map((field) => (field === '2026-07-28' ? '2027-03-01' : field)), path };
      const answer = await ask(await start(), { ...later, body: body.replaceAll('2026-07-28', '2027-03-01') });
      const { error } = JSON.parse(answer.text) as { error: { code: number; data: Json } };
      assert.deepEqual([answer.status, error.code, error.data.requested], [400, -32022, '2027-03-01']);
      assert.ok((error.data.supported as string[]).includes('2026-07-28'));
    });

    it(`refuses a request whose id is null: ${place}`, async () => {
      const { headers, body } = modernRequest('alice', 'tools/list');
      const answer = await ask(await start(), { headers, path, body: body.replace('"id":1', '"id":null') });
      assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [400, -32600]);
    });
  }

  for (const [declared, asked] of [
    [{ form: {} }, false],
    [{}, false],
    [{ url: {} }, true],
  ] as const)
    for (const [path, name] of [
      ['/servers/one/mcp', 'it'],
      ['/mcp', 'one__it'],
    ] as const)
      it(`${asked ? 'leads' : 'does not lead'} a client to an address that declares ${JSON.stringify(declared)}, at ${path}`, async () => {
        const question = { mode: 'url', message: 'go there', url: 'https://a.example/go', elicitationId: 'x' };
        const port = await start({
          post: ({ id, method, error }, response) => {
            const say = (message: object) =>
              response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
            if (method === 'tools/call') {
              response.writeHead(200, { 'Content-Type': 'text/event-stream' });
              say({ id: 'question', method: 'elicitation/create', params: question });
              waiting = () =>
                response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } })}\n\n`);
              return true;
            }
            if (error !== undefined) waiting();
            return undefined;
          },
        });
        const able = { [`${META}clientCapabilities`]: { elicitation: declared } };
        const { result } = await askModern(port, 'alice', 'tools/call', { name }, able, path);
        assert.equal(result?.resultType, asked ? 'input_required' : 'complete', JSON.stringify(result));
      });
  let waiting = () => {};

  const EXTENDED = { 'com.example/x': { a: 1 } };
  /** A server with sessions and an extension, whose tool sends a notification of it. */
  const extended: Parameters<typeof scriptedServer>[0] = {
    post: ({ id, method }, response) => {
      const answer = (result: object, before = '') => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Mcp-Session-Id': 's' });
        response.end(`${before}data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
        return true;
      };
      if (method === 'initialize') {
        const serverInfo = { name: 'extended', version: '1' };
        return answer({ protocolVersion: '2025-11-25', capabilities: { tools: {}, extensions: EXTENDED }, serverInfo });
      }
      if (method !== 'tools/call') return undefined;
      const told = ['com.example/told', 'notifications/vendor/told', 'notifications/tasks/status'].map(
        (name) => `data: ${JSON.stringify({ jsonrpc: '2.0', method: name, params: { a: 1 } })}\n\n`,
      );
      return answer({ content: [] }, told.join(''));
    },
  };

  for (const [path, name, server] of [
    ['/servers/one/mcp', 'it', 'extended'],
    ['/mcp', 'one__it', 'extended'],
  ] as const) {
    it(`carries extensions that a server with sessions offers, at ${path}`, async () => {
      const { result } = await askModern(await start(extended), 'alice', 'server/discover', {}, {}, path);
      assert.deepEqual((result?.capabilities as Json | undefined)?.extensions, EXTENDED);
    });

    it(`carries notifications of extensions, and none that would be the relay’s to send, at ${path}`, async () => {
      const port = await start(extended);
      const { text } = await ask(port, { ...modernRequest('alice', 'tools/call', { name }), path });
      assert.match(text, /"method":"com\.example\/told","params":\{"a":1\}/);
      assert.match(text, /"method":"notifications\/vendor\/told"/);
      assert.doesNotMatch(text, /tasks\/status/);
    });

    it(`says in a result which server it is of, at ${path}`, async () => {
      const port = await start(extended);
      const called = await askModern(port, 'alice', 'tools/call', { name }, {}, path);
      const infoOf = (result: Json | undefined) => (result?._meta as Json | undefined)?.[`${META}serverInfo`];
      assert.equal((infoOf(called.result) as Json | undefined)?.name, server);
      const listed = await askModern(port, 'alice', 'tools/list', {}, {}, path);
      assert.equal((infoOf(listed.result) as Json | undefined)?.name, path === '/mcp' ? 'postern' : server);
    });
  }

  it('asks at once what a server asks in one go, though it comes in pieces', async () => {
    const port = await start({
      post: ({ method }, response) => {
        if (method !== 'tools/call') return undefined;
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        const ask = (id: string) => {
          const params = { message: id, requestedSchema: { type: 'object', properties: {} } };
          const question = { jsonrpc: '2.0', id, method: 'elicitation/create', params };
          response.write(`data: ${JSON.stringify(question)}\n\n`);
        };
        ask('first');
        setImmediate(() => ask('second'));
        return true;
      },
    });
    const { result } = await askModern(port, 'alice', 'tools/call', { name: 'it' });
    assert.deepEqual(Object.keys(result?.inputRequests as Json), [
      'elicitation/create-first',
      'elicitation/create-second',
    ]);
  });

  it('ends the oldest of the calls whose questions a person has dismissed, and asks on', async () => {
    const taken: unknown[] = [];
    const port = await start({
      post: ({ id, method, params }, response) => {
        if (method === 'notifications/cancelled') taken.push((params as Json).requestId);
        if (method !== 'tools/call') return undefined;
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        const question = { message: 'which?', requestedSchema: { type: 'object', properties: {} } };
        const asked = { jsonrpc: '2.0', id: `question ${id}`, method: 'elicitation/create', params: question };
        response.write(`data: ${JSON.stringify(asked)}\n\n`);
        return true;
      },
    });
    const call = (params: Json) => askModern(port, 'alice', 'tools/call', { name: 'it', ...params });
    const states: unknown[] = [];
    for (let count = 0; count < 12; count += 1) {
      const { result, error } = await call({});
      assert.equal(result?.resultType, 'input_required', `the ${count + 1}th: ${JSON.stringify(error)}`);
      states.push(result?.requestState);
    }
    await until('the servers are told of the oldest', () => taken.length === 4);
    const late = await call({ requestState: states[0], inputResponses: {} });
    assert.equal(late.error?.code, -32602);
    const kept = await call({ requestState: states[11], inputResponses: {} });
    assert.equal(kept.result?.resultType, 'input_required');
  });

  /** Asks what the arguments of its tool say, under these ids, and goes on when all are answered; says what it was answered. */
  function asking(taken: unknown[] = []): Parameters<typeof scriptedServer>[0] {
    const open = new Map<string, () => void>();
    return {
      post: ({ id, method, params, result }, response) => {
        if (method === 'notifications/cancelled') taken.push((params as Json).requestId);
        if (method === undefined) {
          open.get(JSON.stringify([id, result]))?.();
          return undefined;
        }
        if (method !== 'tools/call') return undefined;
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        const say = (message: object) => response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
        const { ids, withdrawn } = (params as { arguments: { ids: unknown[]; withdrawn?: unknown } }).arguments;
        const question = { message: 'which?', requestedSchema: { type: 'object', properties: {} } };
        let left = ids.length;
        for (const own of ids) {
          say({ id: own, method: 'elicitation/create', params: { ...question, message: JSON.stringify(own) } });
          open.set(JSON.stringify([own, { action: 'accept', content: { id: own } }]), () => {
            left -= 1;
            if (left > 0) return;
            say({ id, result: { content: [{ type: 'text', text: 'each has its answer' }] } });
            response.end();
          });
        }
        if (withdrawn !== undefined) say({ method: 'notifications/cancelled', params: { requestId: withdrawn } });
        return true;
      },
    };
  }

  it('tells questions apart whose ids only look alike, and gives each its own answer', async () => {
    const port = await start(asking());
    const call = (params: Json) =>
      askModern(port, 'alice', 'tools/call', { name: 'it', arguments: { ids: [1, '1', "1'"] }, ...params });
    const { result } = await call({});
    const requests = Object.entries(result?.inputRequests as Record<string, { params: { message: string } }>);
    assert.deepEqual(requests.map(([, { params }]) => params.message).sort(), ['"1"', `"1'"`, '1']);
    const inputResponses = Object.fromEntries(
      requests.map(([key, { params }]) => [key, { action: 'accept', content: { id: JSON.parse(params.message) } }]),
    );
    const answered = await call({ requestState: result?.requestState, inputResponses });
    assert.match(JSON.stringify(answered.result), /each has its answer/);
  });

  for (const [withdrawn, left] of [
    [1, ['"1"']],
    ['1', ['1']],
  ] as const)
    it(`takes back the question that the server withdraws, and none that looks like it (${typeof withdrawn})`, async () => {
      const port = await start(asking());
      const { result } = await askModern(port, 'alice', 'tools/call', {
        name: 'it',
        arguments: { ids: [1, '1'], withdrawn },
      });
      const requests = Object.values(result?.inputRequests as Record<string, { params: { message: string } }>);
      assert.deepEqual(
        requests.map(({ params }) => params.message),
        left,
      );
    });

  it('ends the oldest call that waits where a person may have no more questions, and asks the new one', async () => {
    const taken: unknown[] = [];
    const port = await start(asking(taken), {
      budgets: { identity: { maxQuestions: 4 }, session: { maxQuestions: 3 } },
    });
    const call = (user: string, params: Json) =>
      askModern(port, user, 'tools/call', { name: 'it', arguments: { ids: [1, 2] }, ...params });
    const states: unknown[] = [];
    for (const user of ['bob', 'alice', 'alice', 'alice', 'alice']) {
      const { result, error } = await call(user, {});
      assert.equal(result?.resultType, 'input_required', `of ${user}: ${JSON.stringify(error)}`);
      states.push(result?.requestState);
    }
    await until('the server is told of the two oldest', () => taken.length === 2);
    assert.equal((await call('alice', { requestState: states[2], inputResponses: {} })).error?.code, -32602);
    assert.equal((await call('alice', { requestState: states[4] })).result?.resultType, 'input_required');
    assert.equal((await call('bob', { requestState: states[0] })).result?.resultType, 'input_required');
    // One call with more questions than a call may have ends alone.
    const many = await call('alice', { arguments: { ids: [1, 2, 3, 4, 5] } });
    assert.match(String(many.error?.message), /too much at once/);
    assert.equal((await call('bob', {})).result?.resultType, 'input_required');
  });
});
