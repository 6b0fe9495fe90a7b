import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Gate, openGate } from './support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from './support/key-server.ts';

const SECRET = 'secret of the machine in the tests of audiences';
const OPERATOR = 'token of the operator in the tests of audiences';
const OWN = 'https://mcp.example.com';

/** As clients write them, with the origin that is meant; undefined: none that the tests know a token for. */
const HOSTS: ReadonlyArray<readonly [host: string, origin: string]> = [
  ['mcp.example.com', OWN],
  ['MCP.Example.COM', OWN],
  ['mcp.example.com.', OWN],
  ['mcp.example.com:443', OWN],
  ['mcp.example.com.:443', OWN],
  ['mcp.example.com:8443', `${OWN}:8443`],
  ['mcp.example.com:80', `${OWN}:80`],
  ['grafana.example.com', 'https://grafana.example.com'],
  ['GRAFANA.example.com.:443', 'https://grafana.example.com'],
  ['grafana.example.com:3000', 'https://grafana.example.com:3000'],
  ['wiki.example.com', 'https://wiki.example.com'],
  ['files.mcp.example.com', 'https://files.mcp.example.com'],
  ['mcp.example.com.evil.example', 'https://mcp.example.com.evil.example'],
  ['xmcp.example.com', 'https://xmcp.example.com'],
  ['127.0.0.1', 'https://127.0.0.1'],
  ['[::1]:8443', 'https://[::1]:8443'],
];
const SERVERS = ['files', 'git'];
/** With the server that owns them. */
const PATHS: ReadonlyArray<readonly [path: string, server: string | undefined]> = [
  ['/', undefined],
  ['/d/1', undefined],
  ['/mcp', undefined],
  ['/messages', undefined],
  ['/servers/other/mcp', undefined],
  ['/servers/files/mcp', 'files'],
  ['/servers/files/sse', 'files'],
  ['/servers/files', 'files'],
  ['/servers/git/mcp', 'git'],
];

/** The model: what a request is for, without a look at the code. */
function resourceOf(origin: string, server: string | undefined): string {
  return origin === OWN && server !== undefined ? `${OWN}/servers/${server}/mcp` : origin;
}

/** `aud` values with the resources that they open; `*`: every one. */
const AUDIENCES: ReadonlyArray<readonly [aud: string, opens: string]> = [
  [OWN, OWN],
  [`${OWN}/`, OWN],
  ['HTTPS://MCP.example.com:443', OWN],
  [`${OWN}/servers/files/mcp`, `${OWN}/servers/files/mcp`],
  [`${OWN}/servers/git/mcp`, `${OWN}/servers/git/mcp`],
  [`${OWN}:8443`, `${OWN}:8443`],
  [`${OWN}:8443/servers/files/mcp`, 'nothing'],
  ['https://grafana.example.com', 'https://grafana.example.com'],
  ['https://grafana.example.com/servers/files/mcp', 'nothing'],
  ['http://grafana.example.com', 'nothing'],
  ['https://*.example.com', 'nothing'],
  ['grafana.example.com', 'nothing'],
  ['grafana-client', 'https://grafana.example.com'],
  ['files-client', `${OWN}/servers/files/mcp`],
  ['everywhere', '*'],
];

describe('the audience of a credential', function () {
  // Thousands of requests.
  this.timeout(180_000);
  const key = rsaKey('one');
  let idp: KeyServer;
  let introspector: Server;
  let gate: Gate;
  before(async () => {
    idp = await startKeyServer([key]);
    introspector = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const aud = Buffer.from(new URLSearchParams(body).get('token') ?? '', 'base64url').toString();
      response.setHeader('Content-Type', 'application/json');
      response.end(
        JSON.stringify({
          active: true,
          sub: 'alice',
          aud,
          token_type: 'Bearer',
          exp: Math.floor(Date.now() / 1000) + 300,
        }),
      );
    });
    introspector.listen(0, '127.0.0.1');
    await once(introspector, 'listening');
    const serverAudiences = { files: ['files-client'], 'https://grafana.example.com': ['grafana-client'] };
    const audiences = { audiences: ['everywhere'], serverAudiences };
    gate = await openGate(
      {
        operatorToken: OPERATOR,
        providers: [
          { id: 'corp', issuer: idp.issuer, clientId: 'gate', clientSecret: SECRET, ...audiences },
          {
            id: 'opaque',
            issuer: 'https://opaque.example',
            jwksUri: `${idp.issuer}/jwks`,
            clientId: 'gate',
            ...audiences,
            introspection: { enabled: true, url: `http://127.0.0.1:${(introspector.address() as AddressInfo).port}/` },
          },
        ],
        apiKeys: { enabled: true },
        broker: {
          enabled: true,
          providers: ['corp'],
          clientCredentials: true,
          clients: [{ id: 'robot', secret: SECRET, clientCredentials: true }],
        },
        rules: [
          { match: { host: 'mcp.example.com', path: '/servers/**' }, allow: 'anyone-signed-in' },
          { match: { host: 'grafana.example.com' }, allow: { providers: ['corp'] }, emit: ['grafana'] },
          { match: { path: '/**' }, allow: 'anyone-signed-in' },
        ],
      },
      SERVERS,
    );
  });
  after(async () => {
    await gate?.close();
    await idp?.stop();
    introspector?.close();
    introspector?.closeAllConnections();
  });

  /** Asks everywhere; a credential that is for another resource is 401 there, and nowhere anything else. */
  const sweep = async (
    headers: readonly string[],
    opens: (resource: string, server: string | undefined) => boolean,
    hosts: typeof HOSTS = HOSTS,
  ) => {
    const asked = hosts.flatMap(([host, origin]) =>
      PATHS.map(async ([path, server]) => {
        const { status } = await gate.ask(path, { host, headers });
        const expected = opens(resourceOf(origin, server), origin === OWN ? server : undefined) ? 200 : 401;
        return status === expected ? [] : [`${host}${path}: ${status}, not ${expected}`];
      }),
    );
    assert.deepEqual((await Promise.all(asked)).flat(), []);
  };

  it('is one origin and path, whichever way a token proves itself', async () => {
    for (const [aud, opens] of AUDIENCES) {
      const good = (resource: string) => opens === '*' || resource === opens;
      const jwt = await idp.sign(key, { aud });
      await sweep(['Authorization', `Bearer ${jwt}`], good);
    }
  });

  it('is the same for an opaque token, whose rule takes its provider', async () => {
    for (const [aud, opens] of AUDIENCES) {
      const token = Buffer.from(aud).toString('base64url');
      const good = (resource: string) => opens === '*' || resource === opens;
      const hosts = HOSTS.filter(([host]) => !/^grafana/i.test(host));
      await sweep(['Authorization', `Bearer ${token}`], good, hosts);
    }
  });

  it("is a server of the relay's at publicUrl for an API key with servers, and for a token of the broker", async () => {
    const create = async (body: object) => {
      const response = await fetch(`http://127.0.0.1:${gate.internalPort}/api-keys`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${OPERATOR}`, 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      });
      return ((await response.json()) as { key: string }).key;
    };
    const bound = await create({ subject: 'ci', name: 'CI', servers: ['files'] });
    await sweep(['X-API-Key', bound], (_, server) => server === 'files');
    await sweep(['Authorization', `Bearer ${bound}`], (_, server) => server === 'files');

    const answer = await fetch(`http://127.0.0.1:${gate.port}/_postern/oauth/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${Buffer.from(`robot:${encodeURIComponent(SECRET)}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', resource: `${OWN}/servers/git/mcp` }),
    });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    assert.ok(token, 'the broker gives a token');
    await sweep(['Authorization', `Bearer ${token}`], (_, server) => server === 'git');
  });

  it('is not changed by the scheme that the proxy tells, because TLS may end before it', async () => {
    const token = await idp.sign(key, { aud: `${OWN}/servers/files/mcp` });
    for (const host of ['mcp.example.com', 'mcp.example.com:443'])
      assert.equal((await gate.ask('/servers/files/mcp', { host, token, scheme: 'http' })).status, 200, host);
    const grafana = await idp.sign(key, { aud: 'https://grafana.example.com' });
    assert.equal((await gate.ask('/', { host: 'grafana.example.com', token: grafana, scheme: 'http' })).status, 401);
  });

  it('is described where it is ours, and other hosts are told of no metadata and no address of ours', async () => {
    for (const [host, origin] of HOSTS) {
      const challenge = String((await gate.ask('/servers/files/mcp', { host })).headers['www-authenticate']);
      const named = `resource_metadata="${OWN}/.well-known/oauth-protected-resource/servers/files/mcp"`;
      assert.equal(challenge.includes(named), origin === OWN, host);
      assert.equal(challenge.includes('resource_metadata'), origin === OWN, host);
      for (const path of [
        '/.well-known/oauth-protected-resource/servers/files/mcp',
        '/.well-known/oauth-authorization-server',
        '/_postern/oauth/token',
        '/register',
      ]) {
        assert.equal((await gate.ask(path, { host })).status, origin === OWN ? 200 : 401, host + path);
        const direct = await fetch(`http://127.0.0.1:${gate.port}${path}`, {
          headers: { 'X-Forwarded-Host': host, 'X-Forwarded-Proto': 'https' },
        });
        if (origin !== OWN) assert.equal(direct.status, 404, host + path);
        else if (path.startsWith('/.well-known/')) assert.equal(direct.status, 200, host + path);
      }
    }
  });

  it('is not asked of a preflight of ours, and of nothing that only looks like one', async () => {
    const origin = ['Origin', 'https://client.example'];
    const preflight = [...origin, 'Access-Control-Request-Method', 'POST'];
    for (const [host, at] of HOSTS)
      for (const path of ['/servers/files/mcp', '/messages', '/ws', '/sse']) {
        const ask = async (headers: readonly string[]) =>
          (await gate.ask(path, { host, method: 'OPTIONS', headers })).status;
        assert.equal(await ask(preflight), at === OWN ? 200 : 401, host + path);
        // A page of another site is refused before anything is asked of it.
        const foreign = at === OWN && path.startsWith('/servers/') ? 403 : 401;
        assert.equal(await ask(origin), foreign, `${host}${path} without the method`);
        assert.equal(await ask(preflight.slice(2)), 401, `${host}${path} without the origin`);
        assert.equal(await ask([]), 401, `${host}${path} plain`);
      }
  });
});
