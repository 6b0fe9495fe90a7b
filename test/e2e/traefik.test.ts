import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { IDENTITY_HEADER_NAMES } from '../../src/identity/headers.ts';
import { type Chain, startChain } from '../support/chain.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
});
const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x', arguments: {} } });
const MCP = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];

describe('through the real Traefik, with the files of deploy/traefik', () => {
  let chain: Chain;
  let alice: string;

  before(async function () {
    this.timeout(300_000);
    chain = await startChain('traefik', await programOrSkip(this, 'traefik'));
    alice = await chain.token('alice', 'everything');
  });

  after(async function () {
    this.timeout(60_000);
    await chain?.stop();
  });

  const post = (path: string, headers: readonly string[] = [], body = CALL, port = chain.ports.edge) =>
    rawRequest(port, path, { method: 'POST', headers: [...MCP, ...headers], body });
  const bearer = (token: string) => ['Authorization', `Bearer ${token}`];
  const challengeOf = (answer: RawAnswer) => String(answer.headers['www-authenticate'] ?? '');

  async function connect(token: string, server = 'everything') {
    const client = new Client(
      { name: 'e2e', version: '1.0.0' },
      { capabilities: { sampling: {}, elicitation: {}, roots: {} } },
    );
    const transport = new StreamableHTTPClientTransport(new URL(chain.endpoint(server)), {
      requestInit: { headers: { Authorization: `Bearer ${token}` } },
    });
    await client.connect(transport as Transport);
    return { client, transport };
  }

  describe('the official client', () => {
    it('lists and calls tools', async () => {
      const { client } = await connect(alice);
      const { tools } = await client.listTools();
      assert.ok(tools.some((tool) => tool.name === 'echo'));
      const result = await client.callTool({ name: 'echo', arguments: { message: 'through the gate' } });
      assert.match(JSON.stringify(result.content), /through the gate/);
      await client.close();
    });

    it('receives progress while a tool runs', async () => {
      const { client } = await connect(alice);
      const progress: number[] = [];
      await client.callTool(
        { name: 'trigger-long-running-operation', arguments: { duration: 0.4, steps: 4 } },
        undefined,
        { onprogress: (event) => progress.push(event.progress) },
      );
      assert.deepEqual(progress, [1, 2, 3, 4]);
      await client.close();
    });

    it('answers a sampling request of the server', async () => {
      const { client } = await connect(alice);
      client.setRequestHandler(CreateMessageRequestSchema, () => ({
        model: 'test',
        role: 'assistant',
        content: { type: 'text', text: 'sampled by the client' },
      }));
      const result = await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'hello' } });
      assert.match(JSON.stringify(result.content), /sampled by the client/);
      await client.close();
    });

    it('answers an elicitation request of the server', async () => {
      const { client } = await connect(alice);
      let asked = '';
      client.setRequestHandler(ElicitRequestSchema, (request) => {
        asked = request.params.message;
        return { action: 'decline' };
      });
      const result = await client.callTool({ name: 'trigger-elicitation-request', arguments: {} });
      assert.notEqual(asked, '');
      assert.match(JSON.stringify(result.content), /declined/i);
      await client.close();
    });

    it('ends its session with DELETE, after which it is unknown', async () => {
      const { client, transport } = await connect(alice);
      const session = transport.sessionId as string;
      await transport.terminateSession();
      await client.close();
      const body = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
      const headers = [...bearer(alice), 'Mcp-Session-Id', session, 'MCP-Protocol-Version', '2025-06-18'];
      const after = await post('/servers/everything/mcp', headers, body);
      assert.ok(after.status === 404 || after.status === 400, `was ${after.status}`);
    });
  });

  it('a GET stream opens, and another user cannot open it', async () => {
    const opened = await post('/servers/everything/mcp', bearer(alice), INITIALIZE);
    assert.equal(opened.status, 200);
    const session = String(opened.headers['mcp-session-id']);
    const stream = (token: string) =>
      fetch(chain.endpoint('everything'), {
        headers: {
          Authorization: `Bearer ${token}`,
          Accept: 'text/event-stream',
          'Mcp-Session-Id': session,
          'MCP-Protocol-Version': '2025-06-18',
        },
      });
    const foreign = await stream(await chain.token('bob', 'everything'));
    await foreign.body?.cancel();
    assert.ok(foreign.status === 404 || foreign.status === 403, `was ${foreign.status}`);
    const own = await stream(alice);
    assert.equal(own.status, 200);
    assert.match(own.headers.get('content-type') ?? '', /^text\/event-stream/);
    await own.body?.cancel();
  });

  describe('who may not pass', () => {
    it('no token: 401, and the metadata it names can be read through Traefik', async () => {
      const answer = await post('/servers/everything/mcp');
      assert.equal(answer.status, 401);
      assert.doesNotMatch(challengeOf(answer), /error=/);
      const url = /resource_metadata="([^"]+)"/.exec(challengeOf(answer))?.[1] ?? '';
      assert.ok(url.startsWith(`http://127.0.0.1:${chain.ports.edge}/`), url);
      const metadata = (await (await fetch(url)).json()) as { resource: string; authorization_servers: string[] };
      assert.equal(metadata.resource, chain.endpoint('everything'));
      assert.deepEqual(metadata.authorization_servers, [chain.provider.issuer]);
    });

    it('no token on GET: 401, not a redirect', async () => {
      const answer = await rawRequest(chain.ports.edge, '/servers/everything/mcp', {
        headers: ['Accept', 'text/event-stream'],
      });
      assert.equal(answer.status, 401);
    });

    const bad: Array<[string, () => Promise<string>]> = [
      ['a token for another server', () => chain.token('alice', 'echo')],
      [
        'an expired token',
        () =>
          chain.provider.mint({
            sub: 'alice',
            aud: chain.endpoint('everything'),
            iat: 1_600_000_000,
            exp: 1_600_000_300,
          }),
      ],
      [
        'a token of a stranger under a known key id',
        () => chain.provider.forge({ sub: 'alice', aud: chain.endpoint('everything') }),
      ],
      [
        'a token of an unknown key',
        () => chain.provider.forge({ sub: 'alice', aud: chain.endpoint('everything') }, 'never-published'),
      ],
      [
        'a token of another issuer',
        () =>
          chain.provider.mint({
            sub: 'alice',
            aud: chain.endpoint('everything'),
            iss: 'https://elsewhere.example.com',
          }),
      ],
      ['a text that is no token', async () => 'abc.def.ghi'],
    ];
    for (const [title, token] of bad)
      it(`${title}: 401 invalid_token`, async () => {
        const answer = await post('/servers/everything/mcp', bearer(await token()));
        assert.equal(answer.status, 401);
        assert.match(challengeOf(answer), /error="invalid_token"/);
        assert.match(challengeOf(answer), /resource_metadata="/);
      });

    it('a missing group: 403', async () => {
      const answer = await post('/servers/everything/mcp', bearer(await chain.token('carol', 'everything')));
      assert.equal(answer.status, 403);
    });

    it('a path without a rule: 403', async () => {
      const answer = await post('/nowhere', bearer(alice));
      assert.ok(answer.status === 403 || answer.status === 401, `was ${answer.status}`);
    });

    it('who goes around Traefik: 401 from the relay', async () => {
      for (const headers of [
        [],
        bearer(alice),
        ['X-Authenticated-User', 'alice', 'X-Authenticated-Groups', 'admins'],
      ]) {
        const before = chain.echo.seen.length;
        const answer = await post('/servers/echo/mcp', headers, CALL, chain.ports.relay);
        assert.equal(answer.status, 401);
        assert.equal(chain.echo.seen.length, before);
      }
    });

    it('who knows the secret but has no assertion: 401 from the relay', async () => {
      const headers = ['X-Postern-Proxy-Secret', chain.secret, 'X-Authenticated-User', 'alice'];
      assert.equal((await post('/servers/echo/mcp', headers, CALL, chain.ports.relay)).status, 401);
    });
  });

  describe('what a client may not smuggle', () => {
    async function seenWith(headers: readonly string[]): Promise<Map<string, string[]>> {
      const token = await chain.token('alice', 'echo');
      const answer = await post('/servers/echo/mcp', [...bearer(token), ...headers]);
      assert.equal(answer.status, 200, answer.body);
      const seen = new Map<string, string[]>();
      const raw = chain.echo.seen.at(-1)?.rawHeaders ?? [];
      for (let at = 0; at < raw.length; at += 2) {
        const name = (raw[at] as string).toLowerCase();
        seen.set(name, [...(seen.get(name) ?? []), raw[at + 1] as string]);
      }
      return seen;
    }

    it('identity headers of its own: each is overwritten', async () => {
      const seen = await seenWith(IDENTITY_HEADER_NAMES.flatMap((name) => [name, 'mallory']));
      for (const [name, values] of seen) assert.ok(!values.includes('mallory'), name);
    });

    it('a group of its own choice', async () => {
      const token = await chain.token('carol', 'echo');
      const answer = await post('/servers/echo/mcp', [...bearer(token), 'X-Authenticated-Groups', 'engineering']);
      assert.equal(answer.status, 403);
    });

    it('the same header twice', async () => {
      const seen = await seenWith(['X-Authenticated-User', 'mallory', 'X-Authenticated-User', 'root']);
      for (const [name, values] of seen) assert.ok(!/mallory|root/.test(values.join()), name);
    });

    it('an identity header that does not exist yet', async () => {
      const seen = await seenWith(['X-Authenticated-Role', 'admin']);
      assert.equal(seen.has('x-authenticated-role'), false);
    });

    it('identity headers of other products', async () => {
      const seen = await seenWith(['Remote-User', 'mallory', 'X-Forwarded-User', 'mallory', 'X-User-Id', 'mallory']);
      for (const [name, values] of seen) assert.ok(!values.includes('mallory'), name);
    });

    for (const alias of ['X_Authenticated_User', 'X.Authenticated.User', 'x-authenticated_user'])
      it(`${alias}: refused`, async () => {
        const before = chain.echo.seen.length;
        const token = await chain.token('alice', 'echo');
        const answer = await post('/servers/echo/mcp', [...bearer(token), alias, 'mallory']);
        assert.equal(answer.status, 400);
        assert.equal(chain.echo.seen.length, before);
      });

    it('Connection naming an identity header, to have it removed', async () => {
      const seen = await seenWith(['Connection', 'X-Authenticated-User, X-Authenticated-Assertion']);
      for (const [name, values] of seen) assert.ok(!/mallory|root/.test(values.join()), name);
    });

    it('its own token never reaches the MCP server, nor the secret of the proxy', async () => {
      const seen = await seenWith([]);
      assert.equal(seen.has('authorization'), false);
      const token = chain.provider.issued.at(-1) as string;
      for (const [name, values] of seen)
        for (const value of values) {
          assert.ok(!value.includes(token), name);
          assert.ok(!value.includes(chain.secret), name);
        }
    });
  });

  describe('paths that could be read in two ways', () => {
    const paths = [
      '//admin/x',
      '/public/../admin/x',
      '/public/%2e%2e/admin/x',
      '/public/..%2fadmin/x',
      '/public/..%5cadmin/x',
      '/public/..;/admin/x',
      '/public/%252e%252e/admin/x',
      '/_postern/../admin/x',
      '/.well-known/oauth-protected-resource/../../admin/x',
    ];
    for (const path of paths)
      it(`${path} does not reach the relay without a token`, async () => {
        const answer = await rawRequest(chain.ports.edge, path);
        assert.ok([400, 401, 403].includes(answer.status), `was ${answer.status}`);
      });

    for (const path of ['/public/..%2fadmin', '//admin', '/public/../admin', '/public/..;/admin', '/public/%252e/x'])
      it(`${path} is no allow where a proxy passes it raw`, async () => {
        const answer = await rawRequest(chain.ports.auth, '/verify/traefik', {
          headers: [
            ...['X-Forwarded-Method', 'GET', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Uri', path],
            ...['X-Forwarded-Host', `127.0.0.1:${chain.ports.edge}`, 'X-Forwarded-For', '127.0.0.1'],
          ],
        });
        assert.ok([400, 401, 403].includes(answer.status), `was ${answer.status}`);
      });
  });

  describe('when something dies', () => {
    it('an MCP server: 502, and it works again when the server is back', async function () {
      this.timeout(60_000);
      await chain.running.everything.stop('SIGKILL');
      const answer = await post('/servers/everything/mcp', bearer(alice), INITIALIZE);
      assert.equal(answer.status, 502);
      await chain.restartEverything();
      const { client } = await connect(alice);
      assert.ok((await client.listTools()).tools.length > 0);
      await client.close();
    });

    it('the OpenID provider: known keys still serve, even for a token never seen', async () => {
      const fresh = await chain.provider.mint({ sub: 'alice', aud: chain.endpoint('everything') });
      await chain.provider.stop();
      try {
        assert.equal((await post('/servers/everything/mcp', bearer(fresh), INITIALIZE)).status, 200);
      } finally {
        await chain.provider.restart();
      }
    });

    it('forward-auth: Traefik lets nobody through', async function () {
      this.timeout(60_000);
      const token = await chain.token('alice', 'echo');
      const before = chain.echo.seen.length;
      await chain.running.auth.stop('SIGKILL');
      const answer = await post('/servers/echo/mcp', bearer(token));
      assert.ok(answer.status >= 500, `was ${answer.status}`);
      assert.equal(chain.echo.seen.length, before);
      await chain.restartAuth();
      // Its assertion keys are new: the relay must fetch them by itself.
      assert.equal((await post('/servers/echo/mcp', bearer(token))).status, 200);
    });
  });

  // A suite of its own, because mocha runs a suite's own tests before its nested ones.
  describe('afterwards', () => {
    it('no log of the whole run holds a token or a secret', async () => {
      const logs = await chain.logs();
      assert.ok(chain.provider.issued.length > 5 && logs.length > 1_000, 'there was something to find');
      for (const token of chain.provider.issued) {
        assert.ok(!logs.includes(token), 'a token');
        assert.ok(!logs.includes(token.split('.')[2] as string), 'the signature of a token');
      }
      assert.doesNotMatch(logs, /eyJ[\w-]{20,}\.[\w-]{20,}/);
      assert.ok(!logs.includes(chain.secret), 'the secret of the proxy');
    });
  });
});
