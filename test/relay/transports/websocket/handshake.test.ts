import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request as send } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, it } from 'mocha';
import {
  type Answer,
  ask,
  ECHO,
  endAll,
  type RelayUnderTest,
  rejection,
  relay,
  upstream,
} from '../../support/relay.ts';
import { scriptedServer } from '../../support/scripted-server.ts';
import { handshake, openWebSocket } from '../../support/web-socket.ts';

const ALICE = ['X-Authenticated-User', 'alice'];

function jwt(claims: object, secret: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

async function refused(running: RelayUnderTest, answer: Answer, status: number, reason: string): Promise<void> {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.equal(answer.headers.connection, 'close');
  assert.equal(rejection(answer).id, null);
  assert.match(await running.metrics(), new RegExp(`rejected_total\\{reason="${reason}"\\} 1`));
  assert.ok(running.logs.some((line) => line.includes(`"reason":"${reason}"`)));
}

describe('the WebSocket handshake', () => {
  afterEach(endAll);

  const start = async (overrides: object = {}) => {
    const { url, seen } = await scriptedServer();
    return { running: await relay({ servers: { one: { url } }, ...overrides }), seen };
  };

  it('is taken from a proven proxy, with the subprotocol mcp among others', async () => {
    const { running } = await start();
    const answer = await handshake(running.port, ALICE, { protocol: 'chat, mcp' });
    assert.equal(answer.status, 101);
    assert.equal(answer.headers['sec-websocket-protocol'], 'mcp');
    assert.equal(answer.headers['sec-websocket-extensions'], undefined);
  });

  const attacks: Array<[string, string[], Parameters<typeof handshake>[2], number, string]> = [
    ['no identity', [], {}, 401, 'no_identity'],
    ['an empty identity', ['X-Authenticated-User', ''], {}, 401, 'no_identity'],
    ['the identity twice', [...ALICE, 'x-authenticated-user', 'root'], {}, 400, 'duplicate_header'],
    ['an alias of it', [...ALICE, 'X_Authenticated_User', 'root'], {}, 400, 'header_alias'],
    ['its name in Connection', [...ALICE, 'Connection', 'X-Authenticated-User'], {}, 400, 'header_connection'],
    ['two Origins', [...ALICE, 'Origin', 'https://mcp.example.com', 'Origin', 'null'], {}, 400, 'duplicate_header'],
    ['a foreign Origin', [...ALICE, 'Origin', 'https://evil.example'], {}, 403, 'origin'],
    ['the Origin null of a sandboxed page', [...ALICE, 'Origin', 'null'], {}, 403, 'origin'],
    ['a token in the query', ALICE, { path: '/servers/one/ws?access_token=x' }, 400, 'token_in_query'],
    ['no subprotocol', ALICE, { protocol: '' }, 400, 'subprotocol'],
    ['another subprotocol', ALICE, { protocol: 'mcp2, MCP' }, 400, 'subprotocol'],
    ['an unknown server', ALICE, { path: '/servers/two/ws' }, 404, 'not_found'],
    ['the path of another transport', ALICE, { path: '/servers/one/mcp' }, 404, 'not_found'],
    ['an encoded path', ALICE, { path: '/servers/one/%77s' }, 404, 'not_found'],
    ['a method other than GET', ALICE, { method: 'PUT' }, 405, 'upgrade'],
    ['a key that is none', ALICE, { key: 'short' }, 400, 'upgrade'],
    [
      'headers of the stateless era, by which a proxy may have decided',
      [...ALICE, 'MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', 'ping'],
      {},
      400,
      'protocol_version',
    ],
  ];
  for (const [what, headers, options, status, reason] of attacks)
    it(`is refused with ${status} for ${what}`, async () => {
      const { running, seen } = await start();
      await refused(running, await handshake(running.port, headers, options), status, reason);
      assert.equal(seen.length, 0);
      assert.match(await running.metrics(), /^(?!.*open_streams\{transport="websocket"\} [1-9])/s);
    });

  it('tells the operator when a proxy passes no identity on upgrades', async () => {
    const { running } = await start();
    const answer = await handshake(running.port, []);
    assert.doesNotMatch(answer.text, /proxy/);
    assert.ok(
      running.logs.some((line) =>
        line.includes('with a WebSocket upgrade: configure the proxy to check upgrade requests'),
      ),
    );
  });

  it('believes no identity header of an unproven peer', async () => {
    const { running } = await start({ trust: { proxies: ['192.0.2.1'] } });
    await refused(running, await handshake(running.port, ALICE), 401, 'spoof_attempt');
    const secret = await start({ trust: { secret: 'the secret of the proxy' } });
    await refused(secret.running, await handshake(secret.running.port, ALICE), 401, 'spoof_attempt');
    const proven = [...ALICE, 'X-Postern-Proxy-Secret', 'the secret of the proxy'];
    assert.equal((await handshake(secret.running.port, proven)).status, 101);
  });

  it('challenges where the relay itself checks JWTs, and closes with 1008 when the token ends', async () => {
    const secretKey = 'a secret of thirty-two characters';
    const { running } = await start({
      trust: { enabled: false },
      jwt: { enabled: true, secretKey, clockTolerance: '0s' },
    });
    const without = await handshake(running.port, ALICE);
    assert.equal(without.status, 401);
    assert.equal(without.headers['www-authenticate'], 'Bearer');
    const exp = Math.floor(Date.now() / 1000) + 2;
    const token = jwt({ sub: 'alice', iss: 'mcpgateway', aud: 'mcpgateway-api', exp }, secretKey);
    const client = await openWebSocket(running.port, 'nobody', { headers: { Authorization: `Bearer ${token}` } });
    await client.initialize();
    assert.deepEqual(await client.closed, [1008, 'sign in again: the identity of this connection is no longer valid']);
    assert.ok(Date.now() >= exp * 1000 - 5);
  });

  it('is refused with 429 for more streams than one user may have, over both transports', async () => {
    const { running } = await start({ budgets: { identity: { maxStreams: 2 } } });
    const first = await openWebSocket(running.port);
    const headers = ['Host', 'mcp.example.com', ...ALICE];
    const request = send({ host: '127.0.0.1', port: running.port, path: '/servers/one/sse', headers, agent: false });
    const [stream] = (await once(request.end(), 'response')) as [IncomingMessage];
    await refused(running, await handshake(running.port, ALICE), 429, 'budget_spent');
    assert.equal((await ask(running.port, { method: 'GET', path: '/servers/one/sse', headers: ALICE })).status, 429);
    assert.equal((await handshake(running.port, ['X-Authenticated-User', 'bob'])).status, 101);
    for (const leave of [() => first.socket.terminate(), () => stream.destroy()]) {
      leave();
      while ((await handshake(running.port, ALICE)).status !== 101);
    }
  });

  it('is asked for with 426 where a client sends a plain request', async () => {
    const { running } = await start();
    const answer = await ask(running.port, { method: 'GET', path: '/servers/one/ws', headers: ALICE });
    assert.equal(answer.status, 426);
    assert.equal(answer.headers.upgrade, 'websocket');
  });

  it('is not what an offer of h2c is: the request is answered as if it were not there', async () => {
    const url = await upstream(ECHO);
    const running = await relay({ servers: { one: { url } } });
    const offer = [
      'Connection',
      'Upgrade, HTTP2-Settings',
      'Upgrade',
      'h2c',
      'HTTP2-Settings',
      'AAMAAABkAAQAoAAAAAIAAAAA',
    ];
    const answer = await ask(running.port, { headers: [...ALICE, ...offer] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(JSON.parse(answer.text).result.headers['content-type'], 'application/json');
    const forged = await ask(running.port, { headers: [...ALICE, ...offer, 'x-authenticated-user', 'root'] });
    assert.equal(forged.status, 400);
    assert.equal((await ask(running.port, { headers: offer })).status, 401);
  });

  it('is cut where it comes behind a request that is not answered yet, and the relay goes on', async () => {
    const url = await upstream((request) => request.resume());
    const running = await relay({ servers: { one: { url } } });
    const lines = (first: string, ...more: string[]) =>
      [first, 'Host: mcp.example.com', 'X-Authenticated-User: alice', ...more, '', ''].join('\r\n');
    for (const path of ['/servers/one/ws', '/nowhere']) {
      const socket = connect(running.port, '127.0.0.1');
      socket.on('error', () => {});
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk;
      });
      const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
      const offer = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', key];
      socket.write(
        lines('GET /servers/one/mcp HTTP/1.1') + lines(`GET ${path} HTTP/1.1`, ...offer, 'Sec-WebSocket-Protocol: mcp'),
      );
      await once(socket, 'close');
      assert.equal(text, '');
    }
    assert.equal((await handshake(running.port, ALICE)).status, 101);
  });
});
