import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type Chain, startChain } from '../support/chain.ts';
import type { Child } from '../support/child.ts';
import { PROXIES } from '../support/deployment.ts';
import { startEverythingServer } from '../support/everything-server.ts';
import { freePorts } from '../support/free-port.ts';
import { programOrSkip } from '../support/programs.ts';
import { rawRequest } from '../support/raw-request.ts';

const EVERYTHING = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
);
const INFO = { name: 'test', version: '1' };

describe('all servers as one, through the real Traefik and forward-auth', function () {
  this.timeout(60_000);
  let chain: Chain;
  let mortal: Child;
  let mortalPort: number;
  const hanging = createServer();

  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, PROXIES.traefik.program);
    [mortalPort] = (await freePorts(1)) as [number];
    mortal = await startEverythingServer(mortalPort);
    await new Promise<void>((resolve) => hanging.listen(0, '127.0.0.1', resolve));
    const allow = { groups: ['engineering'] };
    chain = await startChain('traefik', program, {
      POSTERN_AUTH_RULES: JSON.stringify([
        { match: { path: '/mcp' }, allow },
        { match: { path: '/servers/mortal/**' }, allow },
      ]),
      POSTERN_RELAY_SERVERS: JSON.stringify({
        mortal: { url: `http://127.0.0.1:${mortalPort}/mcp` },
        program: { command: process.execPath, args: [EVERYTHING, 'stdio'] },
        hanging: { url: `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/mcp` },
      }),
      POSTERN_RELAY_AGGREGATE_SERVERS: JSON.stringify(['mortal', 'program', 'hanging']),
      POSTERN_RELAY_AGGREGATE_TIMEOUT: '3s',
    });
  });
  after(async function () {
    this.timeout(60_000);
    await chain?.stop();
    await mortal?.stop();
    hanging.closeAllConnections();
    hanging.close();
  });

  const edge = (path: string) => `http://127.0.0.1:${chain.ports.edge}${path}`;
  /** As a client learns it: the resource's name is in its metadata. */
  const token = async (user: string) => {
    const answer = await fetch(edge('/.well-known/oauth-protected-resource/mcp'));
    const { resource } = (await answer.json()) as { resource: string };
    assert.equal(resource, edge('/mcp'));
    return chain.provider.token(user, resource);
  };
  const bearer = async (user: string) => ({
    requestInit: { headers: { Authorization: `Bearer ${await token(user)}` } },
  });
  const session = async () => {
    const client = new Client(INFO);
    await client.connect(new StreamableHTTPClientTransport(new URL(edge('/mcp')), await bearer('alice')) as Transport);
    return client;
  };
  const stateless = async () => {
    const client = new ModernClient(INFO, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    await client.connect(new ModernTransport(new URL(edge('/mcp')), await bearer('alice')));
    return client;
  };

  for (const [era, connect] of [
    ['sessions', session],
    ['stateless', stateless],
  ] as const)
    it(`a client of the ${era} era uses a server over HTTP and one that is a program, while a third hangs`, async () => {
      const client = await connect();
      const { tools, _meta } = await client.listTools();
      const names = tools.map(({ name }) => name);
      for (const server of ['mortal', 'program']) assert.ok(names.includes(`${server}__echo`), server);
      assert.deepEqual(_meta?.['postern/unavailable'], [{ server: 'hanging', reason: 'timeout' }]);
      for (const server of ['mortal', 'program']) {
        const { content } = await client.callTool({ name: `${server}__echo`, arguments: { message: server } });
        assert.match(JSON.stringify(content), new RegExp(`Echo: ${server}`));
      }
      await client.close();
    });

  it('a token for one server does not open all of them, nor the other way round', async () => {
    const one = await chain.token('alice', 'mortal');
    const all = await token('alice');
    const statusOf = async (path: string, given: string) =>
      (
        await rawRequest(chain.ports.edge, path, {
          method: 'POST',
          headers: ['Content-Type', 'application/json', 'Authorization', `Bearer ${given}`],
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
        })
      ).status;
    assert.equal(await statusOf('/mcp', one), 401);
    assert.equal(await statusOf('/servers/mortal/mcp', all), 401);
    assert.notEqual(await statusOf('/servers/mortal/mcp', one), 401);
    assert.equal(await statusOf('/mcp', await token('carol')), 403);
  });

  it('a server that dies in the middle of a call ends that call, and the others go on', async () => {
    const client = await session();
    const dying = client.callTool({
      name: 'mortal__trigger-long-running-operation',
      arguments: { duration: 30, steps: 3 },
    });
    const outcome = dying.then(
      () => 'answered',
      (error: Error) => error.message,
    );
    const { content } = await client.callTool({ name: 'program__echo', arguments: { message: 'before' } });
    assert.match(JSON.stringify(content), /Echo: before/);
    await mortal.stop();
    assert.match(await outcome, /MCP server/);
    const { tools, _meta } = await client.listTools();
    assert.ok(tools.every(({ name }) => name.startsWith('program__')) && tools.length > 0);
    assert.match(JSON.stringify(_meta), /"mortal","reason":"unreachable"/);
    mortal = await startEverythingServer(mortalPort);
    const again = await client.listTools();
    assert.ok(
      again.tools.some(({ name }) => name === 'mortal__echo'),
      'with a new session at the server',
    );
    await client.close();
  });
});
