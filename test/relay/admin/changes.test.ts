import assert from 'node:assert/strict';
import { type Answer, ask, endAll, type RelayUnderTest } from '../support/relay.ts';
import {
  adminRelay,
  type FakeForwardAuth,
  forwardAuth,
  look,
  OPERATOR,
  openStream,
  read,
  SIGNED_IN,
  say,
  streamServer,
  toolServer,
} from './support/admin.ts';

const ORIGIN = ['Origin', 'https://mcp.example.com'];
const FORM = ['Content-Type', 'application/x-www-form-urlencoded'];

describe('what operators change', () => {
  let under: RelayUnderTest;
  let other: FakeForwardAuth;
  const tools = [{ name: 'add', description: 'Adds', inputSchema: { type: 'object' } }];

  beforeEach(async () => {
    other = await forwardAuth();
    tools[0] = { name: 'add', description: 'Adds', inputSchema: { type: 'object' } };
    under = await adminRelay({
      servers: { one: { url: await toolServer(tools) } },
      pins: { servers: ['one'] },
      policy: {
        rules: [
          { effect: 'deny', tools: ['delete_*'] },
          { who: { groups: ['staff'], scopes: ['mcp:use'] } },
          { who: { users: ['ann'] } },
        ],
      },
      admin: { ...OPERATOR, forwardAuth: other.access },
      rateLimits: [{ by: 'user', limit: 4, per: '1h' }],
    });
    await say(under.port, 'ann', { method: 'tools/list' });
    tools[0] = { name: 'add', description: 'Adds, and more', inputSchema: { type: 'object' } };
    await say(under.port, 'ann', { method: 'tools/list' });
  });

  afterEach(endAll);

  interface Held {
    readonly held: Array<{
      server: string;
      tool: string;
      hash: string;
      rejectedAt?: string;
      changes: Array<{ kind: string; text: string }>;
    }>;
  }
  const held = async () => (await read<Held>(under.port, '/admin/api/pins')).held;
  const post = (path: string, body: object, extra: string[] = []): Promise<Answer> =>
    ask(under.port, { path, headers: [...SIGNED_IN, ...extra], body: JSON.stringify(body) });
  const tokenOf = async (path: string) =>
    /name="token" value="([^"]+)"/.exec((await look(under.port, path)).text)?.[1] ?? '';
  const form = (path: string, fields: Record<string, string>, headers: string[] = [...SIGNED_IN, ...ORIGIN, ...FORM]) =>
    ask(under.port, { path, headers, body: new URLSearchParams(fields).toString() });

  it('a tool is approved by the API, with what changed', async () => {
    const [waiting] = await held();
    assert.deepEqual(
      waiting?.changes.filter(({ kind }) => kind !== 'same').map(({ kind, text }) => [kind, text.trim()]),
      [
        ['removed', '"description": "Adds",'],
        ['added', '"description": "Adds, and more",'],
      ],
    );
    const { server, tool, hash } = waiting as Held['held'][number];
    assert.equal((await post('/admin/api/pins/approve', { server, tool, hash: 'another' })).status, 404);
    assert.equal((await post('/admin/api/pins/approve', { server, tool })).status, 400);
    assert.equal((await post('/admin/api/pins/approve', { server, tool, hash })).status, 200);
    assert.deepEqual(await held(), []);
    const { entries } = await read<{ entries: Array<Record<string, unknown>> }>(
      under.port,
      '/admin/api/activity?event=operator',
    );
    const [done] = entries;
    assert.deepEqual([done?.user, done?.object, done?.outcome], ['operator', '/admin/api/pins/approve', 'done']);
  });

  it('a tool is rejected by the API: it stays hidden and waits no longer, until it is approved or changes again', async () => {
    const [waiting] = await held();
    const { server, tool, hash } = waiting as Held['held'][number];
    // Each as another user, because of the rate limit.
    let users = 0;
    const tell = async (message: object) => {
      const extra = ['X-Authenticated-Groups', 'staff', 'X-Authenticated-Scopes', 'mcp:use'];
      return (await say(under.port, `user-${users++}`, message, 'one', extra)).text;
    };
    const listed = () => tell({ method: 'tools/list' });
    assert.equal((await post('/admin/api/pins/reject', { server, tool, hash: 'another' })).status, 404);
    assert.equal((await post('/admin/api/pins/reject', { server, tool: 'none', hash })).status, 404);
    assert.equal((await post('/admin/api/pins/reject', { server, tool })).status, 400);
    assert.match(await under.metrics(), /postern_relay_tools_held_back\{server="one"\} 1/);
    assert.equal((await post('/admin/api/pins/reject', { server, tool, hash })).status, 200);
    assert.match(String((await held())[0]?.rejectedAt), /^\d{4}-/);
    assert.doesNotMatch(await listed(), /and more/);
    assert.match(await tell({ method: 'tools/call', params: { name: tool } }), /-32003/);
    assert.match(await under.metrics(), /postern_relay_tools_held_back\{server="one"\} 0/, 'nobody is asked again');
    tools[0] = { name: 'add', description: 'Adds, and other things', inputSchema: { type: 'object' } };
    await listed();
    assert.equal((await held())[0]?.rejectedAt, undefined, 'another definition waits');
    tools[0] = { name: 'add', description: 'Adds, and more', inputSchema: { type: 'object' } };
    await listed();
    assert.match(String((await held())[0]?.rejectedAt), /^\d{4}-/, 'the rejected one does not');
    assert.equal((await post('/admin/api/pins/approve', { server, tool, hash })).status, 200);
    assert.match(await listed(), /and more/);
    assert.equal(
      (await post('/admin/api/pins/reject', { server, tool, hash })).status,
      404,
      'it is held back no longer',
    );
    const { entries } = await read<{ entries: Array<Record<string, unknown>> }>(
      under.port,
      '/admin/api/activity?event=tool_changed',
    );
    assert.deepEqual(
      entries.map(({ user, server: at, object, outcome }) => [user, at, object, outcome]).filter(([user]) => user),
      [
        ['operator', 'one', 'add', 'approved'],
        ['operator', 'one', 'add', 'rejected'],
      ],
    );
  });

  describe('are safe from other sites', () => {
    it('in the API', async () => {
      const { server, tool, hash } = (await held())[0] as Held['held'][number];
      const body = JSON.stringify({ server, tool, hash });
      const attacks: string[][] = [
        ['Origin', 'https://attacker.example'],
        ['Origin', 'null'],
        ['Origin', 'https://mcp.example.com.attacker.example'],
        ['Sec-Fetch-Site', 'same-site', 'Sec-Fetch-Mode', 'no-cors'],
        // What a form can send without asking first.
        ['Content-Type', 'text/plain'],
        ['Content-Type', 'application/x-www-form-urlencoded'],
      ];
      for (const headers of attacks) {
        const answer = await ask(under.port, {
          path: '/admin/api/pins/approve',
          headers: [...SIGNED_IN, ...headers],
          body,
        });
        assert.ok([403, 415].includes(answer.status), `${headers.join(': ')}: ${answer.status}`);
      }
      assert.equal((await held()).length, 1);
    });

    it('in the pages', async () => {
      const { server, tool, hash } = (await held())[0] as Held['held'][number];
      const token = await tokenOf('/admin/tools');
      assert.ok(token.length > 20);
      const fields = { server, tool, hash, token };
      const attacks: Array<[string, Record<string, string>, string[]]> = [
        ['no origin', fields, [...SIGNED_IN, ...FORM]],
        ['another origin', fields, [...SIGNED_IN, 'Origin', 'https://attacker.example', ...FORM]],
        ['the null origin', fields, [...SIGNED_IN, 'Origin', 'null', ...FORM]],
        [
          'another site',
          fields,
          [...SIGNED_IN, ...ORIGIN, 'Sec-Fetch-Site', 'cross-site', 'Sec-Fetch-Mode', 'navigate', ...FORM],
        ],
        ['no token', { ...fields, token: '' }, [...SIGNED_IN, ...ORIGIN, ...FORM]],
        [
          'an invented token',
          { ...fields, token: `9999999999999.${'A'.repeat(43)}` },
          [...SIGNED_IN, ...ORIGIN, ...FORM],
        ],
        ['nobody', fields, [...ORIGIN, ...FORM]],
      ];
      for (const [what, body, headers] of attacks) {
        const answer = await form('/admin/tools/approve', body, headers);
        assert.ok([401, 403].includes(answer.status), `${what}: ${answer.status}`);
      }
      assert.equal((await held()).length, 1);
      const old = await form('/admin/tools/approve', { ...fields, token: 'old' });
      assert.match(
        old.text,
        /<h1>Nothing was changed<\/h1>[\s\S]*<a href="\/admin\/tools\/approve">Open the page anew</,
      );
      assert.equal((await form('/admin/tools/approve', fields)).status, 303);
      assert.equal((await held()).length, 0);
    });
  });

  it('lead back to their page where a browser opens the address of a form', async () => {
    for (const [address, page] of [
      ['/admin/tools/approve', '/admin/tools'],
      ['/admin/tools/reject', '/admin/tools'],
      ['/admin/sessions/end', '/admin/sessions'],
      ['/admin/streams/end', '/admin/streams'],
    ] as const) {
      const answer = await look(under.port, address);
      assert.deepEqual([answer.status, answer.headers.location], [303, page]);
    }
  });

  it('the policy explains itself', async () => {
    const explain = async (asked: object) =>
      JSON.parse((await post('/admin/api/policy/explain', { server: 'one', ...asked })).text);
    assert.deepEqual(await explain({ user: 'ann', object: 'other' }), {
      allowed: true,
      rule: 'relay.policy.rules[2]',
      heldBack: true,
    });
    const refused = await explain({ user: 'ann', object: 'delete_all' });
    assert.equal(refused.denied.rule, 'relay.policy.rules[0]');
    const scopes = await explain({ user: 'bob', groups: ['staff'], object: 'add' });
    assert.deepEqual(scopes.denied.scopes, ['mcp:use']);
    assert.equal((await explain({ user: 'eve', object: 'add' })).denied.reason, 'no_rule');
    for (const [asked, needs, has, fix] of [
      [{ user: 'eve', object: 'add' }, /groups \[staff\]/, /groups \[\]/, /tells of no groups/],
      [
        { user: 'ann', object: 'delete_all' },
        /a message that relay\.policy\.rules\[0\] does not deny/,
        /by user ann/,
        /narrow/,
      ],
      [{ user: 'bob', groups: ['staff'], object: 'add' }, /scopes \[mcp:use\]/, /scopes \[\]/, /ask for a token/],
      [{ object: 'add' }, /signed in/, /anonymous/, /send a credential/],
    ] as const) {
      const { denied } = await explain(asked);
      assert.match(denied.needs, needs);
      assert.match(denied.has, has);
      assert.match(denied.fix, fix);
    }
    assert.equal((await explain({ object: 'add' })).allowed, false);
    assert.equal((await post('/admin/api/policy/explain', { server: 'none', object: 'add' })).status, 404);
  });

  it('rate limits show who is near them', async () => {
    for (let index = 0; index < 3; index++) await say(under.port, 'ann', { method: 'tools/list' });
    const { states, refused } = await read<{ states: Array<Record<string, unknown>>; refused: object[] }>(
      under.port,
      '/admin/api/rate-limits',
    );
    assert.deepEqual(
      states.map(({ user, over, limit, remaining }) => ({ user, over, limit, remaining })),
      [{ user: 'ann', over: true, limit: 4, remaining: 0 }],
    );
    assert.deepEqual(refused, [{ by: 'user', count: 1 }]);
  });

  it('streams are listed and ended', async () => {
    const { port } = await adminRelay({ servers: { live: { url: await streamServer() } } });
    const stream = await openStream(port, 'ann');
    const listed = () =>
      read<{ count: number; streams: Array<{ id: string; user: string; server: string }> }>(port, '/admin/api/streams');
    const { count, streams } = await listed();
    assert.equal(count, 1);
    assert.deepEqual([streams[0]?.user, streams[0]?.server], ['ann', 'live']);
    const path = `/admin/api/streams/${streams[0]?.id}`;
    assert.equal(
      (await ask(port, { method: 'DELETE', path, headers: [...SIGNED_IN, 'Origin', 'https://attacker.example'] }))
        .status,
      403,
    );
    assert.equal((await ask(port, { method: 'DELETE', path, headers: [] })).status, 401);
    assert.equal((await ask(port, { method: 'DELETE', path, headers: SIGNED_IN })).status, 200);
    await stream.ended;
    assert.equal((await listed()).count, 0);
    assert.equal((await ask(port, { method: 'DELETE', path, headers: SIGNED_IN })).status, 404);
  });

  describe('sessions of forward-auth', () => {
    const PERSON = '?issuer=https%3A%2F%2Fidp.example.com&subject=ann';

    it('are listed and ended', async () => {
      const { sessions } = await read<{ sessions: Array<{ key: string }> }>(under.port, `/admin/api/sessions${PERSON}`);
      assert.deepEqual(
        sessions.map(({ key }) => key),
        ['laptop', 'phone'],
      );
      const end = (path: string) => ask(under.port, { method: 'DELETE', path, headers: SIGNED_IN });
      assert.equal((await end('/admin/api/sessions/laptop')).text, '{"ended":1}');
      assert.equal((await end('/admin/api/sessions/laptop')).status, 404);
      assert.equal((await end(`/admin/api/sessions${PERSON}`)).text, '{"ended":1}');
      assert.ok(other.asked.includes('DELETE /sessions/laptop'));
      assert.equal((await end('/admin/api/sessions')).status, 400);
    });

    it('say what is wrong where forward-auth cannot be asked', async () => {
      const without = await adminRelay();
      const answer = await look(without.port, `/admin/api/sessions${PERSON}`);
      assert.equal(answer.status, 404);
      assert.match(answer.text, /relay\.admin\.forwardAuth/);
      assert.match((await look(without.port, '/admin/sessions')).text, /has not been told how to ask it/);
      const away = await adminRelay({ admin: { ...OPERATOR, forwardAuth: { url: 'http://127.0.0.1:1', token: 'x' } } });
      assert.equal((await look(away.port, `/admin/api/sessions${PERSON}`)).status, 503);
      assert.match((await look(away.port, `/admin/sessions${PERSON}`)).text, /forward-auth does not answer/);
      const wrong = await adminRelay({ admin: { ...OPERATOR, forwardAuth: { ...other.access, token: 'wrong' } } });
      const refused = await look(wrong.port, `/admin/api/sessions${PERSON}`);
      assert.equal(refused.status, 502);
      assert.doesNotMatch(refused.text, /"wrong"/);
    });
  });
});
