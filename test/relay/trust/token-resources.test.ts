import assert from 'node:assert/strict';
import { ask, ECHO, endAll, relay, upstream } from '../support/relay.ts';
import { handshake } from '../support/web-socket.ts';
import { jwks, keyServer, makeKeys, seconds, signToken } from './presets/token-signer.ts';

const ISSUER = 'http://dex.example:5556';
const WELL_KNOWN = '/.well-known/oauth-protected-resource';

describe('metadata of the relay where the proxy passes tokens on', () => {
  afterEach(endAll);

  async function start(trust?: object, publicUrl?: string) {
    const keys = makeKeys('RS256');
    const { url } = await keyServer(() => jwks(keys));
    const token = { issuer: ISSUER, audiences: ['mcp-client'], jwksUrl: url };
    const servers = { one: { url: await upstream(ECHO) }, two: { url: await upstream(ECHO) } };
    const running = await relay(
      { servers, trust: trust ?? { preset: 'hyprmcp', token } },
      publicUrl === undefined ? {} : { publicUrl },
    );
    const at = async (path: string, more: { method?: string; headers?: string[] } = {}) => {
      const response = await fetch(`http://127.0.0.1:${running.port}${path}`, { method: more.method ?? 'GET' });
      return { status: response.status, text: await response.text(), response };
    };
    return { ...running, at, keys };
  }

  it('names the resource as clients know it and the issuer of the tokens, for every transport of every server', async () => {
    const { at } = await start();
    for (const path of ['/servers/one/mcp', '/servers/two/mcp', '/servers/one/sse', '/servers/two/ws']) {
      const { status, text } = await at(WELL_KNOWN + path);
      assert.equal(status, 200, path);
      assert.deepEqual(JSON.parse(text), {
        resource: `https://mcp.example.com${path}`,
        authorization_servers: [ISSUER],
        bearer_methods_supported: ['header'],
      });
    }
    const head = await at(`${WELL_KNOWN}/servers/one/mcp`, { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [200, '']);
    const queried = await at(`${WELL_KNOWN}/servers/one/mcp?team=blue`);
    assert.equal(JSON.parse(queried.text).resource, 'https://mcp.example.com/servers/one/mcp');
  });

  it('exists for nothing else', async () => {
    const { at } = await start();
    for (const path of [
      '',
      '/',
      '/mcp',
      '/servers/none/mcp',
      '/servers/one/mcp/',
      '/servers/one',
      '/servers/ONE/mcp',
      '/admin',
    ])
      assert.equal((await at(WELL_KNOWN + path)).status, 404, path);
    assert.equal((await at(`${WELL_KNOWN}/servers/one/mcp`, { method: 'POST' })).status, 405);
  });

  it('is named by every 401, with the error where a token came', async () => {
    const { port, keys } = await start();
    const expected = `resource_metadata="http://mcp.example.com${WELL_KNOWN}/servers/one/mcp"`;
    const none = await ask(port, {});
    assert.equal(none.status, 401);
    assert.equal(none.headers['www-authenticate'], `Bearer ${expected}`);
    const foreign = signToken(keys, { iss: ISSUER, sub: 'alice', aud: 'another-client', exp: seconds(60) });
    const refused = await ask(port, { headers: ['Authorization', `Bearer ${foreign}`] });
    assert.equal(refused.status, 401);
    assert.equal(refused.headers['www-authenticate'], `Bearer error="invalid_token", ${expected}`);
    assert.equal((await handshake(port, [])).status, 401);
    const good = signToken(keys, { iss: ISSUER, sub: 'alice', aud: 'mcp-client', exp: seconds(60) });
    assert.equal((await ask(port, { headers: ['Authorization', `Bearer ${good}`] })).status, 200);
  });

  it('is found through the gateway after a 401, whatever path it gives the server', async () => {
    const gateway = await hyprMcpGateway();
    const { port, keys } = await start(undefined, gateway.origin);
    gateway.routes.set('/servers/one/mcp', `http://127.0.0.1:${port}/servers/one/mcp`);
    gateway.routes.set('/two', `http://127.0.0.1:${port}/servers/two/mcp`);
    gateway.routes.set('/queried', `http://127.0.0.1:${port}/servers/two/mcp?team=blue`);
    const foreign = signToken(keys, { iss: ISSUER, sub: 'alice', aud: 'another-client', exp: seconds(60) });
    for (const path of gateway.routes.keys()) {
      for (const token of [foreign, 'not-a-token']) {
        const headers = { authorization: `Bearer ${token}` };
        const refused = await fetch(gateway.origin + path, { method: 'POST', headers, body: '{}' });
        assert.equal(refused.status, 401, path);
        const named = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '')?.[1];
        assert.equal(named, `${gateway.origin}${WELL_KNOWN}${path}`);
      }
      const found = await fetch(`${gateway.origin}${WELL_KNOWN}${path}`);
      assert.equal(found.status, 200, path);
      const document = (await found.json()) as Record<string, unknown>;
      assert.deepEqual([document.resource, document.authorization_servers], [gateway.origin + path, [ISSUER]]);
    }
  });

  it('leads clients whose ids the gateway makes to the gateway, which registers them', async () => {
    const keys = makeKeys('RS256');
    const { url } = await keyServer(() => jwks(keys));
    const token = { issuer: ISSUER, audiences: ['mcp-client'], jwksUrl: url, dynamicClients: true };
    const { at } = await start({ preset: 'hyprmcp', token });
    const { authorization_servers } = JSON.parse((await at(`${WELL_KNOWN}/servers/one/mcp`)).text);
    assert.deepEqual(authorization_servers, ['https://mcp.example.com']);
  });

  it('is named by no 401 whose Host is no host', async () => {
    const { port } = await start();
    for (const host of ['evil"example', 'a b', 'mcp.example.com/x', '']) {
      const { headers } = await ask(port, { headers: ['Host', host] });
      assert.doesNotMatch(String(headers['www-authenticate'] ?? ''), /resource_metadata/, host);
    }
  });

  it('is not there where the proxy challenges by itself', async () => {
    for (const trust of [{}, { preset: 'authelia' }]) {
      const { at, port } = await start(trust);
      assert.equal((await at(`${WELL_KNOWN}/servers/one/mcp`)).status, 404);
      assert.doesNotMatch(String((await ask(port, {})).headers['www-authenticate'] ?? ''), /resource_metadata/);
      await endAll();
    }
  });
});

/**
 * What HyprMCP Gateway does with a 401 of a server: it remembers for the path of the request the address that the challenge names, or
 * else that of the server's well-known document with the request's query, and fetches the metadata of that path from there.
 */
async function hyprMcpGateway(): Promise<{ origin: string; routes: Map<string, string> }> {
  const routes = new Map<string, string>();
  const remembered = new Map<string, string>();
  let underWay = 0;
  const address = new URL(
    await upstream(async (request, response) => {
      const path = request.url ?? '';
      if (path.startsWith(WELL_KNOWN)) {
        const own = path.slice(WELL_KNOWN.length);
        const from = remembered.get(own);
        // It has no such bound, and fetches from itself until it has no sockets left.
        if (underWay > 3) return void response.writeHead(508).end();
        underWay++;
        const answer = from === undefined ? undefined : await fetch(from);
        underWay--;
        if (answer?.ok === false) return void response.writeHead(answer.status).end();
        const document = (await answer?.json()) ?? { authorization_servers: [origin] };
        return void response.end(JSON.stringify({ ...document, resource: origin + own }));
      }
      const to = new URL(routes.get(path) ?? '');
      const { authorization = '' } = request.headers;
      const headers = { authorization, 'content-type': 'application/json' };
      const answer = await fetch(to, { method: 'POST', headers, body: '{}' });
      let challenge = answer.headers.get('www-authenticate') ?? '';
      if (answer.status === 401) {
        const named = /(?<= )resource_metadata="([^"]+)"/.exec(challenge);
        challenge = challenge.replace(named?.[0] ?? '\0', `resource_metadata="${origin}${WELL_KNOWN}${path}"`);
        remembered.set(path, named?.[1] ?? `${to.origin}${WELL_KNOWN}${to.pathname}${to.search}`);
      }
      response.writeHead(answer.status, { 'www-authenticate': challenge }).end();
    }),
  );
  const { origin } = address;
  return { origin, routes };
}
