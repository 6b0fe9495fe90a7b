import assert from 'node:assert/strict';
import { endAll, relay } from '../relay/support/relay.ts';
import type { Child } from '../support/child.ts';
import { CONTEXTFORGE_ADMIN, type ContextForge, startContextForge } from '../support/contextforge.ts';
import { startEverythingServer } from '../support/everything-server.ts';
import { freePorts } from '../support/free-port.ts';
import { until } from '../support/until.ts';

const SERVER = '6f1d2f0e6f3b4c1a9a392f6f2c1f7a11';
const ALICE = 'alice@example.com';
const BEARER = { bearer: { value: 'checked-by-the-relay' } };

describe('the real ContextForge behind the relay', function () {
  this.timeout(60_000);
  let forge: ContextForge;
  let everything: Child;
  before(async function () {
    this.timeout(900_000);
    forge = await startContextForge(this);
    const [port] = (await freePorts(1)) as [number];
    everything = await startEverythingServer(port);
    const url = `http://127.0.0.1:${port}/mcp`;
    await forge.api('POST', '/v1/gateways', { name: 'everything', url, transport: 'STREAMABLEHTTP' });
    const tools = (await forge.api('GET', '/v1/tools?limit=0')) as Array<{ id: string }>;
    const server = { id: SERVER, name: 'forge', associated_tools: tools.map(({ id }) => id) };
    await forge.api('POST', '/v1/servers', { server, visibility: 'public' });
    const permissions = ['servers.use', 'servers.read', 'tools.read', 'tools.execute'];
    const role = { name: 'mcp_user', description: 'Uses tools', scope: 'global', permissions };
    const { id } = (await forge.api('POST', '/v1/rbac/roles', role)) as { id: string };
    for (const email of [ALICE, 'dora@example.com'])
      await forge.api('POST', '/v1/auth/email/admin/users', {
        email,
        full_name: email,
        password: 'Of no use: 2387-sdkjh',
        is_admin: false,
        password_change_required: false,
      });
    await forge.api('POST', `/v1/rbac/users/${ALICE}/roles`, { role_id: id, scope: 'global' });
  });
  afterEach(endAll);
  after(async () => {
    await everything?.stop();
    await forge?.stop();
  });

  const start = (server: object) => relay({ servers: { one: server as Record<string, unknown> } });
  const call = async (port: number, email: string, tool = 'everything-echo') => {
    const post = (body: object, headers: Record<string, string> = {}) =>
      fetch(`http://127.0.0.1:${port}/servers/one/mcp`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/json, text/event-stream',
          'X-Authenticated-User': email,
          'X-Authenticated-Email': email,
          ...headers,
        },
        body: JSON.stringify(body),
      });
    const clientInfo = { name: 'test', version: '1' };
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
    const opened = await post({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
    const text = await opened.text();
    if (!opened.ok) return { status: opened.status, text };
    const session = opened.headers.get('mcp-session-id');
    const further = {
      'MCP-Protocol-Version': '2025-06-18',
      ...(session === null ? {} : { 'Mcp-Session-Id': session }),
    };
    const asked = { name: tool, arguments: { message: 'hello' } };
    const answer = await post({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: asked }, further);
    return { status: answer.status, text: await answer.text() };
  };

  it('runs tools of its /mcp for the account of a token, whoever the person is', async () => {
    const credential = { bearer: { value: await forge.token(CONTEXTFORGE_ADMIN) } };
    const { port } = await start({ url: `${forge.url}/mcp`, credential });
    for (const email of [ALICE, 'nobody@example.com'])
      assert.match((await call(port, email)).text, /Echo: hello/, 'one account for all');
  });

  it('runs tools of a virtual server for the person, whom it knows by the identity headers', async () => {
    const { port } = await start({
      url: `${forge.url}/servers/${SERVER}/mcp`,
      identityHeaders: true,
      credential: BEARER,
    });
    assert.match((await call(port, ALICE)).text, /Echo: hello/);
  });

  it('refuses who is not in its database, and the log says so', async () => {
    const { port, logs } = await start({
      url: `${forge.url}/servers/${SERVER}/mcp`,
      identityHeaders: true,
      credential: BEARER,
    });
    const { status, text } = await call(port, 'mallory@example.com');
    assert.equal(status, 502, text);
    assert.doesNotMatch(text, /database/);
    await until('the reason is logged', () => /"text":"Bearer; User not found in database"/.test(logs.join('')));
  });

  it('lets who has no role with tools.execute call nothing', async () => {
    const { port } = await start({
      url: `${forge.url}/servers/${SERVER}/mcp`,
      identityHeaders: true,
      credential: BEARER,
    });
    const { text } = await call(port, 'dora@example.com');
    assert.doesNotMatch(text, /Echo: hello/);
    assert.match(text, /"error"|"isError":true/);
  });

  it('refuses identity headers without a bearer by its CSRF check, and the log says so', async () => {
    const { port, logs } = await start({ url: `${forge.url}/servers/${SERVER}/mcp`, identityHeaders: true });
    const { status, text } = await call(port, ALICE);
    assert.equal(status, 502, text);
    await until('the reason is logged', () =>
      /"text":"CSRF validation failed: CSRF_TOKEN_INVALID"/.test(logs.join('')),
    );
  });

  it('believes no identity header that a client of the relay wrote', async () => {
    const { port } = await start({ url: `${forge.url}/servers/${SERVER}/mcp`, credential: BEARER });
    const { status, text } = await call(port, ALICE);
    assert.equal(status, 502, `without identityHeaders nobody is named: ${text}`);
  });
});
