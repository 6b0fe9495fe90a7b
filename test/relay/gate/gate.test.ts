import assert from 'node:assert/strict';
import { type Answer, ask, endAll, type RelayUnderTest, relay } from '../support/relay.ts';
import { event, openStream, type Script, scriptedServer } from '../support/scripted-server.ts';
import { openWebSocket } from '../support/web-socket.ts';

type Json = Record<string, unknown>;

const ALICE = [
  'X-Authenticated-User',
  'alice',
  'X-Authenticated-Groups',
  'engineers',
  'X-Authenticated-Method',
  'session',
];
const BOB = ['X-Authenticated-User', 'bob', 'X-Authenticated-Method', 'bearer', 'X-Authenticated-Scopes', 'mcp:use'];

const TOOLS = [
  { name: 'search', annotations: { readOnlyHint: true }, inputSchema: { type: 'object' } },
  { name: 'merge', inputSchema: { type: 'object' } },
  { name: 'secret_tool', description: 'should not be seen', inputSchema: { type: 'object' } },
];
const POLICY = {
  rules: [
    { who: { groups: ['engineers'] }, tools: ['search', 'merge'], resources: ['file:///data/*'] },
    { who: { scopes: ['mcp:admin'] }, tools: ['merge'] },
    { who: { users: ['bob'] }, tools: ['search'] },
  ],
};

const json = (response: Parameters<NonNullable<Script['post']>>[1], value: Json, headers: Json = {}) => {
  response.writeHead(200, { 'Content-Type': 'application/json', ...headers } as Record<string, string>);
  response.end(JSON.stringify({ jsonrpc: '2.0', ...value }));
  return true;
};
const listing: Script = {
  post: ({ id, method }, response) =>
    method === 'tools/list'
      ? json(response, { id, result: { tools: TOOLS, nextCursor: 'more', cacheScope: 'public' } })
      : undefined,
};

async function start(
  script: Script,
  settings: object = { policy: POLICY },
): Promise<{ running: RelayUnderTest; seen: Json[] }> {
  const { url, seen } = await scriptedServer(script);
  const running = await relay({ servers: { one: { url } }, ...settings });
  return { running, seen: seen as unknown as Json[] };
}

function send(
  running: RelayUnderTest,
  headers: string[],
  method: string,
  params: Json = {},
  id: number | string = 1,
): Promise<Answer> {
  const body = JSON.stringify({ jsonrpc: '2.0', id, method, params });
  return ask(running.port, { headers: [...headers, 'Accept', 'application/json, text/event-stream'], body });
}

const names = (message: Json, key = 'tools') =>
  ((message.result as Json)[key] as Json[]).map((entry) => entry.name ?? entry.uri);
const messages = (text: string) =>
  text
    .split(/\r\n|\r|\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => JSON.parse(line.slice(5)) as Json);

describe('the gate', () => {
  afterEach(endAll);

  it('answers a denied call with a JSON-RPC error that names the permission, and the server never hears of it', async () => {
    const { running, seen } = await start(listing);
    const denied = await send(running, ALICE, 'tools/call', { name: 'secret_tool' }, 'x');
    assert.equal(denied.status, 200);
    const { error, id } = JSON.parse(denied.text);
    assert.equal(id, 'x');
    assert.equal(error.code, -32003);
    assert.match(error.message, /tools\/call "secret_tool" of server "one"/);
    assert.equal(seen.length, 0);
    assert.equal((await send(running, ALICE, 'tools/call', { name: 'search' })).status, 200);
    assert.equal(seen.length, 1);
    assert.match(
      await running.metrics(),
      /postern_relay_policy_denials_total\{server="one",reason="no_rule",mode="enforced"\} 1/,
    );
  });

  it('asks a bearer for the scope that is missing, by 403 and one challenge', async () => {
    const { running } = await start(listing);
    const denied = await send(running, BOB, 'tools/call', { name: 'merge' });
    assert.equal(denied.status, 403);
    assert.match(
      String(denied.headers['www-authenticate']),
      /^Bearer error="insufficient_scope", error_description="[^"]+", resource_metadata="https:\/\/mcp\.example\.com\/\.well-known\/oauth-protected-resource\/servers\/one\/mcp", scope="mcp:admin"$/,
    );
    assert.deepEqual(JSON.parse(denied.text).error.data.scopes, ['mcp:admin']);
  });

  it('refuses GET, DELETE and a WebSocket to whom the server is closed', async () => {
    const { running, seen } = await start(listing);
    const stranger = ['X-Authenticated-User', 'eve'];
    for (const method of ['GET', 'DELETE'])
      assert.equal((await ask(running.port, { method, headers: stranger })).status, 403);
    await assert.rejects(openWebSocket(running.port, 'eve'), /403/);
    assert.equal(seen.length, 0);
  });

  it('shows in lists what may be used, page by page, and keeps a filtered list out of shared caches', async () => {
    const { running } = await start(listing);
    const listed = JSON.parse((await send(running, ALICE, 'tools/list')).text) as Json;
    assert.deepEqual(names(listed), ['search', 'merge']);
    assert.deepEqual((listed.result as Json).nextCursor, 'more');
    assert.deepEqual((listed.result as Json).cacheScope, 'private');
    assert.deepEqual(names(JSON.parse((await send(running, BOB, 'tools/list', { cursor: 'more' })).text)), ['search']);
  });

  for (const [title, end] of [
    ['LF', '\n'],
    ['CR', '\r'],
    ['CRLF', '\r\n'],
  ] as const)
    it(`reads lists in event streams with lines that end in ${title}, cut anywhere`, async () => {
      const notice = event({ method: 'notifications/progress', params: {} }, 'a').replaceAll('\n', end);
      const text = `: comment${end}${end}${notice}${event({ id: 1, result: { tools: TOOLS } }, 'b').replaceAll('\n', end)}`;
      const { running } = await start({
        post: (_message, response) => {
          openStream(response);
          let at = 0;
          const next = () => {
            if (at >= text.length) return void response.end();
            response.write(text.slice(at, at + 7));
            at += 7;
            setImmediate(next);
          };
          next();
          return true;
        },
      });
      const { text: got } = await send(running, ALICE, 'tools/list');
      const [progress, list] = messages(got);
      assert.equal(progress?.method, 'notifications/progress');
      assert.deepEqual(names(list as Json), ['search', 'merge']);
      assert.match(got, /id: b/);
      assert.doesNotMatch(got, /secret_tool/);
    });

  it('reads what a resumed stream brings, where nobody knows what it answers', async () => {
    const { running } = await start({
      get: (response) => {
        openStream(response);
        response.end(
          event({ id: 9, result: { tools: TOOLS } }) +
            event({ id: 8, result: { resources: [{ uri: 'file:///data/a' }, { uri: 'file:///etc/b' }] } }),
        );
        return true;
      },
    });
    const { text } = await ask(running.port, {
      method: 'GET',
      headers: [...ALICE, 'Accept', 'text/event-stream', 'Last-Event-ID', '1'],
    });
    const [tools, resources] = messages(text);
    assert.deepEqual(names(tools as Json), ['search', 'merge']);
    assert.deepEqual(names(resources as Json, 'resources'), ['file:///data/a']);
  });

  it('lets no list through that it cannot read', async () => {
    for (const headers of [{ 'Content-Encoding': 'gzip' }, { 'Content-Type': 'text/plain' }] as Json[]) {
      const { running } = await start({
        post: ({ id }, response) => json(response, { id, result: { tools: TOOLS } }, headers),
      });
      const { status, text } = await send(running, ALICE, 'tools/list');
      assert.equal(status, 502);
      assert.doesNotMatch(text, /secret_tool/);
    }
  });

  it('is not brought down by a message that is nested deep or has a long name, on any transport', async () => {
    const rules = [
      { effect: 'deny', tools: ['delete_*'] },
      { tools: ['search'], arguments: { type: 'object' } },
      { tools: ['big*'] },
    ];
    const { running } = await start(listing, {
      policy: { rules },
      callLimits: [{ tools: ['big*'], maxArguments: '1MiB' }],
    });
    const deep = (name: string) =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":${JSON.stringify(name)},"arguments":{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}}}`;
    const texts = [deep('search'), deep('big'), deep('delete_'.padEnd(1_000_000, 'ﬀ'))];
    for (const body of texts) {
      const { status, text } = await ask(running.port, { headers: ALICE, body });
      assert.equal(status, 400);
      assert.ok(JSON.parse(text).error, text.slice(0, 100));
    }
    const client = await openWebSocket(running.port);
    const other = await openWebSocket(running.port);
    await other.initialize();
    for (const body of texts) client.socket.send(body);
    await client.find(() => client.received.length === texts.length);
    assert.ok(await other.answerTo(other.request('tools/call', { name: 'search' })));
    const long = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"a":"${'x\\"'.repeat(700_000)}"}}}`;
    assert.equal(
      JSON.parse((await ask(running.port, { headers: ALICE, body: long })).text).result.method,
      'tools/call',
    );
  });

  it('refuses a notification that does what may not be done', async () => {
    const { running, seen } = await start(listing);
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'tools/call', params: { name: 'secret_tool' } });
    assert.equal((await ask(running.port, { headers: ALICE, body })).status, 403);
    assert.equal(seen.length, 0);
  });

  it('does the same on a WebSocket', async () => {
    const { running, seen } = await start(listing);
    const client = await openWebSocket(running.port, 'bob');
    await client.initialize();
    assert.deepEqual(names(await client.answerTo(client.request('tools/list'))), ['search']);
    const denied = await client.answerTo(client.request('tools/call', { name: 'secret_tool' }));
    assert.equal((denied.error as Json).code, -32003);
    assert.ok(!seen.some(({ message }) => (message as Json | undefined)?.method === 'tools/call'));
  });

  it('reads a stream that begins with a byte order mark as clients do', async () => {
    const { running } = await start({
      post: (_message, response) => {
        openStream(response);
        response.end(`\ufeff${event({ id: 1, result: { tools: TOOLS } })}`);
        return true;
      },
    });
    assert.doesNotMatch((await send(running, ALICE, 'tools/list')).text, /secret_tool/);
  });

  for (const stream of [false, true])
    it(`refuses a list that is too large to be read, and passes it where nobody must: ${stream ? 'stream' : 'JSON'}`, async () => {
      const large = { id: 1, result: { tools: [{ ...TOOLS[0], description: 'x'.repeat(80_000) }] } };
      const text = stream ? event(large) : JSON.stringify({ jsonrpc: '2.0', ...large });
      const script: Script = {
        post: (_message, response) => {
          if (stream) openStream(response);
          else response.writeHead(200, { 'Content-Type': 'application/json' });
          const bytes = Buffer.from(text);
          response.write(bytes.subarray(0, 70_001));
          setTimeout(() => response.end(bytes.subarray(70_001)), 50);
          return true;
        },
      };
      const limits = { limits: { maxServerMessage: '64KiB' } };
      const strict = await start(script, { ...limits, policy: POLICY });
      assert.match((await send(strict.running, ALICE, 'tools/list')).text, /larger than 65536 bytes/);
      const loose = await start(script, limits);
      const got = (await send(loose.running, ALICE, 'tools/list')).text;
      assert.ok(got === text, `${got.length} of ${text.length} characters`);
    });

  it('leaves bytes as they are where no policy is', async () => {
    const text = '{"jsonrpc" : "2.0","id":1,  "result":{"tools":[{"name":"search"}]}}';
    const { running } = await start(
      {
        post: (_message, response) => {
          response.writeHead(200, { 'Content-Type': 'application/json' }).end(text);
          return true;
        },
      },
      {},
    );
    assert.equal((await send(running, ALICE, 'tools/list')).text, text);
  });

  it('in dry run lets all through, and says, counts and shows what it would refuse', async () => {
    const { running } = await start(listing, { policy: { ...POLICY, dryRun: true } });
    assert.equal(
      JSON.parse((await send(running, ALICE, 'tools/call', { name: 'secret_tool' })).text).result.method,
      'tools/call',
    );
    assert.equal(names(JSON.parse((await send(running, ALICE, 'tools/list')).text)).length, 3);
    assert.match(await running.metrics(), /mode="dry_run"\} 1/);
    assert.ok(running.logs.some((line) => line.includes('would have refused') && line.includes('secret_tool')));
  });

  it('names in metrics only tools that the server has listed', async () => {
    const { running } = await start(listing, {});
    await send(running, ALICE, 'tools/call', { name: 'search' });
    await send(running, ALICE, 'tools/list');
    await send(running, ALICE, 'tools/call', { name: 'search' });
    await send(running, ALICE, 'tools/call', { name: 'invented"\n' });
    const metrics = await running.metrics();
    assert.match(metrics, /postern_relay_tool_calls_total\{server="one",tool="search",outcome="relayed"\} 1/);
    assert.match(metrics, /postern_relay_tool_calls_total\{server="one",tool="unlisted",outcome="relayed"\} 2/);
    assert.doesNotMatch(metrics, /invented/);
  });

  it('says once of a rule that it names a tool which is not there', async () => {
    const rules = [{ servers: ['one'], tools: ['serch', 'merge'] }, { tools: ['elsewhere'] }, { tools: ['*'] }];
    const { running } = await start(
      {
        post: ({ id, method }, response) =>
          method === 'tools/list' ? json(response, { id, result: { tools: TOOLS } }) : undefined,
      },
      { policy: { rules } },
    );
    for (let turn = 0; turn < 2; turn++) await send(running, ALICE, 'tools/list');
    const said = running.logs.filter((line) => line.includes('does not list')).map((line) => JSON.parse(line) as Json);
    assert.deepEqual(
      said.map(({ rule, tool, near }) => [rule, tool, near]),
      [['relay.policy.rules[0]', 'serch', 'search']],
    );
  });

  it('knows what is read-only from what the server listed', async () => {
    const { running } = await start(listing, { policy: { rules: [{ readOnly: true }] } });
    const code = async (name: string) =>
      JSON.parse((await send(running, ALICE, 'tools/call', { name })).text).error?.code;
    assert.equal(await code('search'), -32003, 'not listed yet');
    assert.deepEqual(names(JSON.parse((await send(running, ALICE, 'tools/list')).text)), ['search']);
    assert.equal(await code('search'), undefined);
    assert.equal(await code('merge'), -32003);
  });
});

describe('limits of the relay', () => {
  afterEach(endAll);

  it('count by user, server and tool, whatever the spelling, and say when to come again', async () => {
    const { running } = await start(listing, { rateLimits: [{ by: 'tool', limit: 2, per: '1m', tools: ['search'] }] });
    const call = (headers: string[], name: string) => send(running, headers, 'tools/call', { name });
    assert.equal((await call(ALICE, 'search')).status, 200);
    assert.equal((await call(ALICE, 'SEARCH')).status, 200);
    const over = await call(ALICE, 'search ');
    assert.equal(over.status, 429);
    const { error, id } = JSON.parse(over.text);
    assert.equal(id, 1);
    assert.equal(String(error.data.retryAfter), over.headers['retry-after']);
    assert.equal((await call(ALICE, 'merge')).status, 200);
    assert.equal((await call(BOB, 'search')).status, 200);
    assert.match(await running.metrics(), /postern_rate_limited_total\{process="relay",by="tool"\} 1/);
  });

  it('hold on a WebSocket, in the order in which messages came', async () => {
    const { running } = await start(listing, { rateLimits: [{ by: 'user', limit: 5, per: '1m' }] });
    const client = await openWebSocket(running.port);
    await client.initialize();
    const ids = [1, 2, 3, 4].map(() => client.request('ping'));
    const answers = await Promise.all(ids.map((id) => client.answerTo(id)));
    const codes = answers.map((message) => (message.error as Json | undefined)?.code);
    assert.deepEqual(codes, [undefined, undefined, undefined, -32005]);
  });

  it('of arguments, answer and time of a call', async () => {
    const { running, seen } = await start(
      {
        post: ({ id, params }, response) => {
          const { name } = params as Json;
          if (name === 'big') return json(response, { id, result: { text: 'x'.repeat(3000) } });
          if (name === 'stream') {
            openStream(response);
            response.write(event({ method: 'notifications/message', params: {} }));
            return true;
          }
          return name === 'slow' ? true : undefined;
        },
      },
      {
        callLimits: [
          { maxArguments: '100B' },
          { tools: ['big'], maxResult: '2KiB' },
          { tools: ['slow', 'stream'], timeout: '1s' },
        ],
      },
    );
    const call = (name: string, args?: Json) => send(running, ALICE, 'tools/call', { name, arguments: args });
    const tooMuch = await call('any', { text: 'y'.repeat(200) });
    assert.equal(JSON.parse(tooMuch.text).error.code, -32602);
    assert.equal(seen.length, 0);
    const big = await call('big');
    assert.equal(big.status, 502);
    assert.match(JSON.parse(big.text).error.message, /larger than 2048 bytes/);
    assert.equal((await call('slow')).status, 504);
    const streamed = messages((await call('stream')).text);
    assert.equal(streamed[0]?.method, 'notifications/message');
    assert.match(((streamed[1]?.error ?? {}) as Json).message as string, /within 1000 ms/);
    assert.equal(streamed[1]?.id, 1);
    const client = await openWebSocket(running.port);
    await client.initialize();
    const [slow, bigger] = await Promise.all(
      ['slow', 'big'].map((name) => client.answerTo(client.request('tools/call', { name }))),
    );
    assert.match(((slow?.error ?? {}) as Json).message as string, /within 1000 ms/);
    assert.match(((bigger?.error ?? {}) as Json).message as string, /larger than 2048/);
  });
});
