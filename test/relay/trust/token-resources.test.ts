import assert from 'node:assert/strict';
import { ask, ECHO, endAll, relay, upstream } from '../support/relay.ts';
import { handshake } from '../support/web-socket.ts';
import { jwks, keyServer, makeKeys, seconds, signToken } from './presets/token-signer.ts';

const ISSUER = 'http://dex.example:5556';
const WELL_KNOWN = '/.well-known/oauth-protected-resource';

describe('metadata of the relay where the proxy passes tokens on', () => {
  afterEach(endAll);

  async function start(trust?: object) {
    const keys = makeKeys('RS256');
    const { url } = await keyServer(() => jwks(keys));
    const token = { issuer: ISSUER, audiences: ['mcp-client'], jwksUrl: url };
    const servers = { one: { url: await upstream(ECHO) }, two: { url: await upstream(ECHO) } };
    const running = await relay({ servers, trust: trust ?? { preset: 'hyprmcp', token } });
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
    const expected = `resource_metadata="https://mcp.example.com${WELL_KNOWN}/servers/one/mcp"`;
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

  it('is not there where the proxy challenges by itself', async () => {
    for (const trust of [{}, { preset: 'authelia' }]) {
      const { at, port } = await start(trust);
      assert.equal((await at(`${WELL_KNOWN}/servers/one/mcp`)).status, 404);
      assert.doesNotMatch(String((await ask(port, {})).headers['www-authenticate'] ?? ''), /resource_metadata/);
      await endAll();
    }
  });
});
