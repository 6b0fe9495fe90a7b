import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { ask, endAll, type RelayUnderTest, relay } from '../support/relay.ts';
import { openWebSocket } from '../support/web-socket.ts';
import { attacks, GOOD, type Guard, list } from './support/attacks.ts';
import { SERVERS, type ToolRequest } from './support/listening-server.ts';

type Json = Record<string, unknown>;

const GUARDS: Record<Guard, object> = {
  policy: { policy: { default: 'allow', rules: [{ effect: 'deny', tools: ['evil'] }] } },
  pins: { pins: { servers: ['one'] } },
};
const CAPABILITIES = { sampling: {}, elicitation: {} };
const CLIENT_INFO = { name: 'test', version: '1' };

/** Sends a request and returns all that its client has received until its answer, or until the relay gave it up. */
type Send = (method: string, params: Json) => Promise<string>;

async function overHttp({ port }: RelayUnderTest, path: string): Promise<Send> {
  const who = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
  const params = { protocolVersion: '2025-11-25', capabilities: CAPABILITIES, clientInfo: CLIENT_INFO };
  const first = { jsonrpc: '2.0', id: 0, method: 'initialize', params };
  const began = await ask(port, { path, headers: who, body: JSON.stringify(first) });
  assert.equal(began.status, 200, began.text);
  const session = ['Mcp-Protocol-Version', '2025-11-25', 'Mcp-Session-Id', String(began.headers['mcp-session-id'])];
  let id = 0;
  return async (method, given) => {
    id += 1;
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: given });
    return (await ask(port, { path, headers: [...who, ...session], body })).text;
  };
}

function withoutSession({ port }: RelayUnderTest, path: string): Send {
  const who = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': CLIENT_INFO,
    'io.modelcontextprotocol/clientCapabilities': CAPABILITIES,
  };
  let id = 0;
  return async (method, params) => {
    id += 1;
    const named = typeof params.name === 'string' ? ['Mcp-Name', params.name] : [];
    const headers = [...who, 'Mcp-Protocol-Version', '2026-07-28', 'Mcp-Method', method, ...named];
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } });
    return (await ask(port, { path, headers, body })).text;
  };
}

async function overWebSocket({ port }: RelayUnderTest): Promise<Send> {
  const client = await openWebSocket(port);
  await client.initialize();
  return async (method, params) => {
    await client.answerTo(client.request(method, params));
    return JSON.stringify(client.received);
  };
}

/** The ways of a client to the server, and the name that the tool has there. */
const CLIENTS: Record<string, { readonly tool: string; open(running: RelayUnderTest): Promise<Send> | Send }> = {
  'streamable HTTP': { tool: 'good', open: (running) => overHttp(running, '/servers/one/mcp') },
  'requests without sessions': { tool: 'good', open: (running) => withoutSession(running, '/servers/one/mcp') },
  'a WebSocket': { tool: 'good', open: overWebSocket },
  'all servers as one': { tool: 'one__good', open: (running) => overHttp(running, '/mcp') },
  'all servers as one, without sessions': { tool: 'one__good', open: (running) => withoutSession(running, '/mcp') },
};

/** What a server answers that does nobody harm. */
function honest({ id, method }: ToolRequest): readonly string[] {
  if (id === undefined || method === undefined) return [];
  const facts = { capabilities: { tools: {}, logging: {} }, resultType: 'complete' };
  const serverInfo = { name: 'listening', version: '1' };
  const result =
    method === 'initialize'
      ? { ...facts, protocolVersion: '2025-11-25', serverInfo }
      : method === 'server/discover'
        ? { ...facts, supportedVersions: ['2026-07-28'], ttlMs: 0, cacheScope: 'private' }
        : method === 'tools/list'
          ? list(id, [GOOD]).result
          : { content: [] };
  return [JSON.stringify({ jsonrpc: '2.0', id, result })];
}

describe('what a server of any kind says reaches no client unjudged', function () {
  this.timeout(60_000);
  afterEach(endAll);

  for (const [kind, open] of Object.entries(SERVERS))
    for (const [guard, settings] of Object.entries(GUARDS) as Array<[Guard, object]>)
      it(`${kind}, behind ${guard}, by every way of a client`, async () => {
        let attack: string | undefined;
        const server = await open((asked) => {
          const own = honest(asked);
          if (attack === undefined || (asked.method !== 'tools/call' && asked.method !== 'tools/list')) return own;
          // Where it was dropped, the request is answered all the same.
          return [...(attacks(asked.id, guard)[attack] ?? []), ...own];
        });
        const running = await relay({
          servers: { one: { ...server, timeout: '5s' } },
          aggregate: { servers: ['one'] },
          ...settings,
        });
        for (const [way, client] of Object.entries(CLIENTS)) {
          attack = undefined;
          const send = await client.open(running);
          assert.match(await send('tools/list', {}), /good/, way);
          for (attack of Object.keys(attacks(1, guard)))
            for (const method of ['tools/call', 'tools/list']) {
              const heard = await send(method, method === 'tools/call' ? { name: client.tool } : {});
              assert.doesNotMatch(heard, /evil/, `${attack}, by ${way}, ${method}`);
            }
          attack = undefined;
          assert.match(await send('tools/list', {}), /good/, way);
        }
        assert.ok(running.logs.some((line) => /left out|no message/.test(line)));
      });

  // By the other ways it goes on in the relay's own words, which have one meaning and are judged.
  for (const way of ['streamable HTTP', 'a WebSocket'])
    it(`an answer that two readers may take for different things goes on in no form (${way})`, async () => {
      const client = CLIENTS[way] as (typeof CLIENTS)[string];
      const twice = (id: unknown) =>
        `{"jsonrpc":"2.0","id":${id},"result":{"content":[]},"result":{"content":["evil"]}}`;
      const server = await SERVERS['a server with sessions']((asked) =>
        asked.method === 'tools/call' ? [twice(asked.id)] : honest(asked),
      );
      const running = await relay({
        servers: { one: { ...server, timeout: '5s' } },
        aggregate: { servers: ['one'] },
        ...GUARDS.policy,
      });
      const send = await client.open(running);
      const heard = await send('tools/call', { name: client.tool });
      assert.match(heard, /"error":/);
      assert.doesNotMatch(heard, /"content":/);
    });

  for (const kind of ['a program', 'a WebSocket server', 'an HTTP+SSE server'] as const)
    for (const id of [99, '99', 'nobody', -1, 1.5])
      it(`${kind} that answers ${JSON.stringify(id)}, which nobody asked, is told of in the log once`, async () => {
        const server = await SERVERS[kind]((asked) => [
          ...(asked.method === 'tools/call' ? [JSON.stringify(list(id)), JSON.stringify(list(id))] : []),
          ...honest(asked),
        ]);
        const running = await relay({ servers: { one: { ...server, timeout: '5s' } } });
        const send = await overHttp(running, '/servers/one/mcp');
        assert.doesNotMatch(await send('tools/call', { name: 'good' }), /evil/);
        assert.equal(running.logs.filter((line) => /answers what it was not asked/.test(line)).length, 1);
      });
});
