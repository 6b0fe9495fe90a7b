import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { type Chain, startChain } from '../support/chain.ts';
import { type DeployedProxy, PROXIES } from '../support/deployment.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';

const RULES = [
  {
    match: { path: '/servers/echo/**' },
    allow: { groups: ['engineering'] },
    scopes: {
      default: ['mcp:use'],
      methods: { 'logging/*': ['mcp:operate'] },
      tools: { 'delete_*': ['mcp:admin'], '*_everything': ['mcp:danger'] },
      prompts: { secret: ['mcp:secrets'] },
      resources: { 'file:///etc/*': ['mcp:files'] },
    },
  },
];
const SETTINGS = {
  POSTERN_AUTH_RULES: JSON.stringify(RULES),
  POSTERN_AUTH_SCOPE_HIERARCHY: JSON.stringify({ 'mcp:root': ['mcp:admin', 'mcp:danger'] }),
};
const ECHO = '/servers/echo/mcp';

interface Said {
  readonly method: string;
  readonly params?: object;
}
const challengeOf = ({ headers }: RawAnswer) => String(headers['www-authenticate']);
const call = (name: string): Said => ({ method: 'tools/call', params: { name, arguments: {} } });

for (const name of ['traefik', 'envoy'] as const satisfies readonly DeployedProxy[])
  describe(`scopes by what an MCP message does, through the real ${name}`, () => {
    let chain: Chain;
    before(async function () {
      this.timeout(300_000);
      const program = await programOrSkip(this, PROXIES[name].program);
      chain = await startChain(name, program, { ...SETTINGS, POSTERN_AUTH_HIDDEN_OPERATIONS: 'relay' });
    });
    after(async function () {
      this.timeout(60_000);
      await chain?.stop();
    });

    const token = (scope: string, sub = 'alice') =>
      chain.provider.mint({ sub, scope, aud: `http://127.0.0.1:${chain.ports.edge}${ECHO}` });
    const post = (bearer: string, said: Said, headers: readonly string[] = []) =>
      rawRequest(chain.ports.edge, ECHO, {
        method: 'POST',
        headers: [
          ...['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'],
          ...['Authorization', `Bearer ${bearer}`, ...headers],
        ],
        body: JSON.stringify({ jsonrpc: '2.0', id: 7, ...said }),
      });
    const modern = (method: string, named: string) => [
      ...['MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', method, 'Mcp-Name', named],
    ];
    const metadata = () => `http://127.0.0.1:${chain.ports.edge}/.well-known/oauth-protected-resource${ECHO}`;

    it('a legacy call needs the scopes of its tool, which the body alone tells, in one challenge with the others', async () => {
      const use = await token('mcp:use');
      assert.equal((await post(use, call('read_file'))).status, 200);
      const before = chain.echo.seen.length;
      const refused = await post(use, call('delete_everything'));
      assert.equal(refused.status, 403);
      assert.equal(
        refused.headers['www-authenticate'],
        `Bearer error="insufficient_scope", error_description="this needs the scopes: mcp:use mcp:admin mcp:danger", resource_metadata="${metadata()}", scope="mcp:use mcp:admin mcp:danger"`,
      );
      assert.equal(JSON.parse(refused.body).id, 7);
      assert.equal(chain.echo.seen.length, before, 'nothing reached the server');
      assert.equal((await post(await token('mcp:use mcp:admin'), call('delete_everything'))).status, 403);
      assert.equal((await post(await token('mcp:use mcp:admin'), call('delete_file'))).status, 200);
      assert.equal((await post(await token('mcp:use mcp:root'), call('delete_everything'))).status, 200);
    });

    it('prompts, resources and methods likewise', async () => {
      const use = await token('mcp:use');
      for (const [said, scope] of [
        [{ method: 'prompts/get', params: { name: 'secret' } }, 'mcp:secrets'],
        [{ method: 'resources/read', params: { uri: 'file:///etc/passwd' } }, 'mcp:files'],
        [{ method: 'resources/subscribe', params: { uri: 'file:///etc/passwd' } }, 'mcp:files'],
        [{ method: 'logging/setLevel', params: { level: 'debug' } }, 'mcp:operate'],
      ] as const) {
        const refused = await post(use, said);
        assert.equal(refused.status, 403, said.method);
        assert.match(challengeOf(refused), new RegExp(`scope="mcp:use ${scope}"$`));
        assert.equal((await post(await token(`mcp:use ${scope}`), said)).status, 200, said.method);
      }
      assert.equal((await post(use, { method: 'prompts/get', params: { name: 'open' } })).status, 200);
      const secret = await post(
        use,
        { method: 'prompts/get', params: { name: 'secret' } },
        modern('prompts/get', 'secret'),
      );
      assert.match(challengeOf(secret), /scope="mcp:use mcp:secrets"$/);
    });

    it('an answer given to a modern request that may pass opens nothing to a legacy one, nor a header that lies', async () => {
      const use = await token('mcp:use');
      assert.equal((await post(use, call('read_file'), modern('tools/call', 'read_file'))).status, 200);
      assert.equal((await post(use, call('delete_file'))).status, 403);
      const lying = await post(use, call('delete_file'), modern('tools/call', 'read_file'));
      assert.deepEqual([lying.status, JSON.parse(lying.body).error.code], [400, -32020]);
      const honest = await post(use, call('delete_file'), modern('tools/call', 'delete_file'));
      assert.equal(honest.status, 403);
      // Claims the modern revision in the body and the legacy one to forward-auth.
      const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
      const disguised = await post(use, { method: 'tools/call', params: { name: 'delete_file', _meta } });
      assert.ok([400, 403].includes(disguised.status), String(disguised.status));
    });

    it('a token without the default scope gets no further than forward-auth', async () => {
      const refused = await post(await token('other'), call('read_file'));
      assert.equal(refused.status, 403);
      assert.match(challengeOf(refused), /scope="mcp:use"$/);
    });

    it('the metadata names what a client needs first, because it can ask for the rest when it is needed', async () => {
      const answer = await fetch(metadata());
      assert.deepEqual(((await answer.json()) as { scopes_supported: string[] }).scopes_supported, ['mcp:use']);
    });

    it('on a WebSocket each message is asked', async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${chain.ports.edge}/servers/echo/ws`, 'mcp', {
        headers: { Authorization: `Bearer ${await token('mcp:use')}` },
      });
      const answer = new Promise<{ error?: { message: string; data?: object } }>((resolve, reject) => {
        socket.once('message', (data) => resolve(JSON.parse(String(data))));
        socket.once('error', reject);
      });
      socket.once('open', () => socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, ...call('delete_file') })));
      const { error } = await answer;
      socket.close();
      assert.deepEqual(error?.data, {
        error: 'insufficient_scope',
        scope: 'mcp:use mcp:admin',
        // Each way in is a resource of its own.
        resource_metadata: metadata().replace(/\/mcp$/, '/ws'),
      });
    });
  });

describe('scopes by what an MCP message does, where nobody has said that the relay asks', () => {
  let chain: Chain;
  before(async function () {
    this.timeout(300_000);
    chain = await startChain('traefik', await programOrSkip(this, 'traefik'), SETTINGS);
  });
  after(async function () {
    this.timeout(60_000);
    await chain?.stop();
  });

  it('a legacy call needs every scope of its rule', async () => {
    const aud = `http://127.0.0.1:${chain.ports.edge}${ECHO}`;
    const ask = async (scope: string) =>
      rawRequest(chain.ports.edge, ECHO, {
        method: 'POST',
        headers: [
          ...['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'],
          ...['Authorization', `Bearer ${await chain.provider.mint({ sub: 'alice', scope, aud })}`],
        ],
        body: JSON.stringify({ jsonrpc: '2.0', id: 7, ...call('read_file') }),
      });
    assert.equal((await ask('mcp:use')).status, 403);
    assert.equal((await ask('mcp:use mcp:operate mcp:root mcp:secrets mcp:files')).status, 200);
  });
});
