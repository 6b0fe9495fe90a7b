import assert from 'node:assert/strict';
import { createLocalJWKSet } from 'jose';
import { verifyAssertion } from '../../../src/identity/assertion.ts';
import { IDENTITY_HEADER_NAMES } from '../../../src/identity/headers.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { type Answer, ask, ECHO, endAll, rejection, relay, upstream } from '../support/relay.ts';
import { openWebSocket } from '../support/web-socket.ts';

type Server = Record<string, unknown>;
type Received = Record<string, string | undefined>;

async function start(server: Server, passthrough: object = {}, more: object = {}) {
  const url = await upstream(ECHO);
  return { server: url, ...(await relay({ servers: { one: { url, ...server } }, passthrough, ...more })) };
}

const received = (answer: Answer): Received => JSON.parse(answer.text).result.headers;
const alice = ['X-Authenticated-User', 'alice'];

describe('headers to MCP servers', () => {
  afterEach(endAll);

  describe('of the client', () => {
    it('stay here where nothing is configured', async () => {
      const { port } = await start({});
      const headers = received(await ask(port, { headers: [...alice, 'X-Tenant-Id', 't1', 'Cookie', 'a=b'] }));
      assert.deepEqual(
        [headers['x-tenant-id'], headers.cookie, headers['x-authenticated-user']],
        Array(3).fill(undefined),
      );
    });

    it('go on under their own names where they are listed, for all servers or for one', async () => {
      const { port } = await start({ passthrough: ['X-Trace'] }, { enabled: true, headers: ['X-Tenant-Id'] });
      const headers = received(
        await ask(port, { headers: [...alice, 'x-tenant-ID', 't1', 'X-Trace', 'abc', 'X-Other', 'no'] }),
      );
      assert.deepEqual([headers['x-tenant-id'], headers['x-trace'], headers['x-other']], ['t1', 'abc', undefined]);
    });

    for (const connection of ['X-Tenant-Id', 'keep-alive, x-tenant-id', 'X-TENANT-ID ,close', 'close,\tX-Tenant-Id,'])
      it(`stay here where Connection names them: ${JSON.stringify(connection)}`, async () => {
        const { port } = await start({}, { enabled: true, headers: ['X-Tenant-Id', 'X-Trace'] });
        const sent = [...alice, 'X-Tenant-Id', 't1', 'X-Trace', 'abc', 'Connection', connection];
        const headers = received(await ask(port, { headers: sent }));
        assert.deepEqual([headers['x-tenant-id'], headers['x-trace']], [undefined, 'abc']);
      });

    it('go on over a WebSocket too, as the handshake had them', async () => {
      const { port } = await start({}, { enabled: true, headers: ['X-Tenant-Id'] });
      const client = await openWebSocket(port, 'alice', { headers: { 'X-Tenant-Id': 't1', 'X-Other': 'no' } });
      const id = client.request('ping');
      // The echo answers with a fixed id.
      assert.equal(id, 1);
      const echoed = await client.find((message) => message.result !== undefined);
      const { headers } = echoed.result as { headers: Received };
      assert.deepEqual([headers['x-tenant-id'], headers['x-other']], ['t1', undefined]);
    });

    it('never become a credential: no header of a client turns into Authorization', async () => {
      const { port } = await start(
        {
          credential: { bearer: { value: 'of-the-relay' } },
          allowSensitive: ['Authorization', 'X-Upstream-Authorization'],
          passthrough: ['Authorization', 'X-Upstream-Authorization'],
        },
        { enabled: true },
      );
      const headers = received(
        await ask(port, {
          headers: [...alice, 'X-Upstream-Authorization', 'Bearer attacker', 'Authorization', 'Bearer client'],
        }),
      );
      assert.equal(headers.authorization, 'Bearer of-the-relay');
      const bare = await start({}, { enabled: true, headers: ['X-Tenant-Id'] });
      const other = received(
        await ask(bare.port, { headers: [...alice, 'X-Upstream-Authorization', 'Bearer attacker'] }),
      );
      assert.deepEqual([other.authorization, other['x-upstream-authorization']], [undefined, undefined]);
    });

    it('are refused twice, too long, or with control characters', async () => {
      const { port } = await start({}, { enabled: true, headers: ['X-Tenant-Id'], maxValue: '16B' });
      const bad = async (...headers: string[]) => {
        const answer = await ask(port, { headers: [...alice, ...headers] });
        return [answer.status, rejection(answer).message];
      };
      assert.deepEqual(await bad('X-Tenant-Id', 'a', 'x-tenant-id', 'b'), [400, 'the header x-tenant-id came twice']);
      for (const value of ['a'.repeat(17), 'a\u0080'.repeat(9)])
        assert.match(String((await bad('X-Tenant-Id', value))[1]), /longer than 16 bytes or holds control/);
    });

    it('need to be named twice where they are credentials, and some can never be named', () => {
      const problem = (relay: object) => {
        try {
          parseConfig({ relay });
          return 'accepted';
        } catch (error) {
          return (error as Error).message;
        }
      };
      const server = (more: object) => ({ one: { url: 'http://127.0.0.1:1/mcp', ...more } });
      for (const name of [
        'Authorization',
        'Cookie',
        'X-Postern-Proxy-Secret',
        'X-Forwarded-User',
        'Remote_User',
        'X-Upstream-Authorization',
      ]) {
        assert.match(
          problem({ passthrough: { enabled: true, headers: [name] } }),
          /headers\[0\]: .*allowSensitive/,
          name,
        );
        assert.equal(problem({ passthrough: { enabled: true, headers: [name], allowSensitive: [name] } }), 'accepted');
        const twice = { passthrough: [name], allowSensitive: [name] };
        assert.equal(problem({ passthrough: { enabled: true }, servers: server(twice) }), 'accepted');
      }
      for (const name of [
        'Host',
        'Connection',
        'Content-Length',
        'Transfer-Encoding',
        'Content_Length',
        'TE',
        'Mcp-Session-Id',
      ])
        assert.match(
          problem({ passthrough: { enabled: true, headers: [name], allowSensitive: [name] } }),
          /cannot be handed on/,
          name,
        );
      assert.match(problem({ servers: server({ passthrough: ['X-A'] }) }), /needs the section relay\.passthrough/);
    });

    it('give no identity, even where the guide lists one; a warning says what does', async () => {
      const { port, logs } = await start({}, { enabled: true, headers: ['X-Authenticated-User', 'X-Tenant-Id'] });
      assert.equal(received(await ask(port, { headers: alice }))['x-authenticated-user'], undefined);
      assert.match(
        logs.join(''),
        /identity headers are not passed on as they came. Fix: set relay.servers.<name>.identityHeaders/,
      );
    });
  });

  describe('of identity', () => {
    it('say who was verified, and overwrite whatever a client sent', async () => {
      const { port } = await start({ identityHeaders: true });
      const sent = [
        'X-Authenticated-User',
        'alice',
        'X-Authenticated-Email',
        'a@example.com',
        'X-Authenticated-Groups',
        'x,y',
      ];
      const headers = received(
        await ask(port, { headers: [...sent, 'X-Forwarded-User', 'admin', 'Remote-User', 'admin'] }),
      );
      assert.equal(headers['x-authenticated-user'], 'alice');
      assert.equal(headers['x-authenticated-groups'], 'x,y');
      assert.deepEqual([headers['x-forwarded-user'], headers['remote-user']], [undefined, undefined]);
      for (const name of IDENTITY_HEADER_NAMES.filter((name) => !name.endsWith('Assertion')))
        assert.notEqual(headers[name.toLowerCase()], undefined, name);
    });

    it('are empty for the anonymous and for whoever is not believed', async () => {
      const { port } = await start(
        { identityHeaders: true },
        {},
        { authRequired: false, trust: { proxies: ['192.0.2.1'] } },
      );
      const headers = received(await ask(port, { headers: alice }));
      assert.deepEqual([headers['x-authenticated-user'], headers['x-authenticated-method']], ['', 'anonymous']);
    });

    it('hold an assertion for this server alone, which the published keys verify', async () => {
      const { port, server } = await start({ assertion: true });
      const given = 'forward-auths.own.assertion';
      const headers = received(await ask(port, { headers: [...alice, 'X-Authenticated-Assertion', given] }));
      const jwt = headers['x-authenticated-assertion'] as string;
      assert.notEqual(jwt, given);
      const keys = await ask(port, { method: 'GET', path: '/.well-known/jwks.json' });
      assert.doesNotMatch(keys.text, /"d":/);
      const verify = (audience: string) =>
        verifyAssertion(jwt, createLocalJWKSet(JSON.parse(keys.text)), {
          issuer: 'https://mcp.example.com/relay',
          audience,
          now: new Date(),
          clockTolerance: 0,
        });
      const { identity, binding } = await verify(server);
      assert.equal(identity.subject, 'alice');
      assert.deepEqual(binding, { method: 'POST', host: new URL(server).host, path: '/mcp' });
      await assert.rejects(verify('postern-relay'), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
    });

    it('need no keys where nothing is signed', async () => {
      const { port } = await start({});
      assert.equal((await ask(port, { method: 'GET', path: '/.well-known/jwks.json' })).status, 404);
    });
  });
});
