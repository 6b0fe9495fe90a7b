import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { ProxyName } from '../../../src/forward-auth/decision/request.ts';
import { adaptForNginx } from '../../../src/forward-auth/proxies/nginx.ts';
import { type RawAnswer, rawRequest } from '../../support/raw-request.ts';
import { assertAllowed, assertRefused, type Gate, openGate, RESOURCE } from '../support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from '../support/key-server.ts';

interface Asked {
  readonly method?: string;
  readonly target: string;
  readonly host?: string;
  readonly proto?: string;
}
interface Way {
  readonly name: Exclude<ProxyName, 'envoy-grpc'>;
  /** Headers of a well-formed question. */
  headers(asked: Asked): Array<[name: string, value: string]>;
  /** Those without which there is no answer. */
  readonly needed: readonly string[];
}

const forwarded = ({ method = 'GET', target, host = 'mcp.example.com', proto = 'https' }: Asked) =>
  [
    ['X-Forwarded-Method', method],
    ['X-Forwarded-Uri', target],
    ['X-Forwarded-Host', host],
    ['X-Forwarded-Proto', proto],
    ['X-Forwarded-For', '198.51.100.9, 203.0.113.7'],
  ] as Array<[string, string]>;
const original = ({ method = 'GET', target, host = 'mcp.example.com', proto = 'https' }: Asked) =>
  [
    ['X-Original-Method', method],
    ['X-Original-URI', target],
    ['X-Original-Host', host],
    ['X-Original-Proto', proto],
    ['X-Original-For', '203.0.113.7'],
  ] as Array<[string, string]>;
const enveloped = ({ host = 'mcp.example.com', proto = 'https' }: Asked) =>
  [
    ['Host', host],
    ['X-Forwarded-Proto', proto],
    ['X-Forwarded-For', '198.51.100.9, 203.0.113.7'],
  ] as Array<[string, string]>;

const WAYS: readonly Way[] = [
  {
    name: 'traefik',
    headers: forwarded,
    needed: ['X-Forwarded-Method', 'X-Forwarded-Uri', 'X-Forwarded-Host'],
  },
  {
    name: 'caddy',
    headers: forwarded,
    needed: ['X-Forwarded-Method', 'X-Forwarded-Uri', 'X-Forwarded-Host', 'X-Forwarded-Proto'],
  },
  {
    name: 'nginx',
    headers: original,
    needed: ['X-Original-Method', 'X-Original-URI', 'X-Original-Host', 'X-Original-Proto'],
  },
  { name: 'envoy', headers: enveloped, needed: ['X-Forwarded-Proto'] },
];
const RULES = [
  { match: { path: '/public/**', methods: ['GET', 'POST'], host: 'mcp.example.com' }, public: true },
  { match: { path: '/servers/github/**' }, allow: { groups: ['engineering'] } },
  { match: { path: '/context/**', context: { team: 'red' } }, public: true },
];
const GITHUB = '/servers/github/mcp';

describe('every way by which a proxy asks over HTTP', () => {
  const key = rsaKey('one');
  let idp: KeyServer;
  let gate: Gate;

  before(async () => {
    idp = await startKeyServer([key]);
    gate = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
  });
  after(async () => {
    await gate.close();
    await idp.stop();
  });

  const send = (way: Way, asked: Asked, headers: Array<[string, string]>, query = ''): Promise<RawAnswer> => {
    const envoy = way.name === 'envoy';
    const path = `/verify/${way.name}${envoy ? asked.target : ''}${query}`;
    return rawRequest(gate.port, path, {
      method: envoy ? (asked.method ?? 'GET') : 'GET',
      headers: headers.flat(),
    });
  };
  const ask = (way: Way, asked: Asked, more: Array<[string, string]> = []) =>
    send(way, asked, [...way.headers(asked), ...more]);
  /** The status as the proxy hands it on. */
  const status = (answer: RawAnswer) => Number(answer.headers['x-postern-status'] ?? answer.status);
  const refused = (answer: RawAnswer, expected: number, reason: string) => {
    assert.equal(status(answer), expected, answer.body);
    const body = JSON.parse(answer.body) as Record<string, string>;
    assert.equal(body.reason, reason);
    return body;
  };

  for (const way of WAYS)
    describe(way.name, () => {
      it('reads method, target, host and client', async () => {
        assertAllowed(await ask(way, { target: '/public/x?y=z' }), '');
        assertAllowed(await ask(way, { method: 'POST', target: '/public/x' }), '');
        refused(await ask(way, { method: 'PUT', target: '/public/x' }), 403, 'no_rule');
        refused(await ask(way, { target: '/public/x', host: 'other.example.com' }), 403, 'no_rule');
        assertAllowed(await ask(way, { target: '/public/x', host: 'MCP.example.com:443' }), '');
        const lines = gate
          .log()
          .split('\n')
          .filter((line) => line.includes(`"proxy":"${way.name}"`));
        assert.match(lines.at(-1) ?? '', /"client":"203\.0\.113\.7"/);
      });

      it('lets a token in, and challenges without', async () => {
        const token = await idp.sign(key, { aud: RESOURCE });
        assertAllowed(await ask(way, { target: GITHUB }, [['Authorization', `Bearer ${token}`]]), 'alice');
        const answer = await ask(way, { target: GITHUB });
        refused(answer, 401, 'no_credential');
        assert.match(String(answer.headers['www-authenticate']), /^Bearer resource_metadata=/);
        assert.equal(Number(answer.headers['content-length']), Buffer.byteLength(answer.body));
      });

      it('refuses what can be read two ways', async () => {
        for (const target of ['//admin', '/public/../admin', '/public/%2e%2e/a', '/public/..%2fa', '/public/..;/a'])
          refused(await ask(way, { target }), 400, 'ambiguous_target');
      });

      for (const name of way.needed)
        it(`refuses a missing or second ${name}, and says how to mend it`, async () => {
          const all = way.headers({ target: '/public/x' });
          const asked = { target: '/public/x' };
          const missing = await send(
            way,
            asked,
            all.filter(([candidate]) => candidate !== name),
          );
          if (way.name !== 'traefik' || name !== 'X-Forwarded-Proto') {
            const body = refused(missing, 400, 'forwarded_headers');
            assert.match(body.error_description ?? '', new RegExp(`${name} is missing; .+`, 'i'));
          }
          const [, value] = all.find(([candidate]) => candidate === name) as [string, string];
          const twice = refused(await send(way, asked, [...all, [name, value]]), 400, 'forwarded_headers');
          assert.match(twice.error_description ?? '', new RegExp(name, 'i'));
          const joined = all.map(([n, v]) => [n, n === name ? `${v},${v}` : v] as [string, string]);
          refused(await send(way, asked, joined), 400, 'forwarded_headers');
        });

      it('refuses a second address of the client', async () => {
        const all = way.headers({ target: '/public/x' });
        const [name, value] = all.at(-1) as [string, string];
        refused(await send(way, { target: '/public/x' }, [...all, [name, value]]), 400, 'forwarded_headers');
      });

      it('ignores the headers by which other proxies ask', async () => {
        const others = WAYS.filter((other) => other.name !== way.name)
          .flatMap((other) => other.headers({ target: '/public/x', method: 'GET' }))
          .filter(([name]) => !way.headers({ target: '/' }).some(([own]) => own === name))
          .filter(([name]) => name !== 'Host');
        refused(await ask(way, { target: GITHUB, method: 'POST' }, others), 401, 'no_credential');
        if (way.name !== 'envoy')
          assert.notEqual((await send(way, { target: '' }, others)).status, 200, 'they are no question');
      });

      it('does not match what only gRPC can say', async () => {
        refused(await ask(way, { target: '/context/x' }), 403, 'no_rule');
      });
    });

  const caddy = WAYS.find(({ name }) => name === 'caddy') as Way;
  const nginx = WAYS.find(({ name }) => name === 'nginx') as Way;
  const envoy = WAYS.find(({ name }) => name === 'envoy') as Way;

  it('caddy: what is appended to the address of the check means nothing', async () => {
    for (const query of ['?x=1', '?access_token=abc', '?/public/x'])
      assertAllowed(await send(caddy, { target: '' }, caddy.headers({ target: '/public/x' }), query), '');
    refused(await send(caddy, { target: '' }, caddy.headers({ target: GITHUB }), '?/public/x'), 401, 'no_credential');
  });

  it('envoy: the prefix is cut off and never resolved', async () => {
    for (const target of ['/../../healthz', '/../../_postern/jwks.json', '/%2e%2e/x'])
      refused(await ask(envoy, { target }), 400, 'ambiguous_target');
    refused(await ask(envoy, { target: '' }), 400, 'ambiguous_target');
    assertAllowed(await ask(envoy, { target: '/_postern/jwks.json' }), '');
    for (const path of ['/healthz', '/readyz', '/metrics']) refused(await ask(envoy, { target: path }), 403, 'no_rule');
    for (const path of ['/verify/envoyx/public/x', '/Verify/envoy/public/x', '//verify/envoy/public/x'])
      assert.equal(
        (await rawRequest(gate.port, path, { headers: envoy.headers({ target: '' }).flat() })).status,
        404,
        path,
      );
  });

  it('envoy: the address that Envoy trusts comes before the list', async () => {
    await ask(envoy, { target: '/public/x' }, [['x-envoy-external-address', '192.0.2.77']]);
    assert.match(gate.log().trimEnd().split('\n').at(-1) ?? '', /"client":"192\.0\.2\.77"/);
  });

  describe('on a raw connection', () => {
    const raw = (text: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(gate.port, '127.0.0.1');
        let got = '';
        socket.setEncoding('utf8').on('data', (part: string) => {
          got += part;
          if (got.includes('\r\n\r\n')) socket.end();
        });
        socket.on('close', () => resolve(got));
        socket.on('error', reject);
        socket.setTimeout(5_000, () => socket.destroy(new Error(`no answer, only: ${got}`)));
        socket.write(text);
      });
    const lines = (way: Way, asked: Asked) =>
      way
        .headers(asked)
        .filter(([name]) => name !== 'Host')
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');

    for (const way of WAYS)
      it(`${way.name}: an upgrade is answered as any other question, never by 101`, async () => {
        const question = (target: string) =>
          raw(
            `GET /verify/${way.name}${way.name === 'envoy' ? target : ''} HTTP/1.1\r\nHost: mcp.example.com\r\n` +
              'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
              `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${lines(way, { target })}\r\n`,
          );
        assert.match(await question(GITHUB), /^HTTP\/1\.1 401 /);
        assert.match(await question('/public/x'), /^HTTP\/1\.1 200 OK\r\n/);
      });

    it('nginx: HTTP/1.0 gets its answer, and a body that is announced is not waited for', async () => {
      const question = (target: string) =>
        raw(`GET /verify/nginx HTTP/1.0\r\nHost: x\r\nContent-Length: 17\r\n${lines(nginx, { target })}\r\n`);
      assert.match(await question('/public/x'), /^HTTP\/1\.1 200 OK\r\nContent-Length: 0\r\n/);
      assert.match(await question(GITHUB), /^HTTP\/1\.1 401 /);
    });
  });

  it('nginx: everything that is no 401 is a 403, and a 200 stays one', () => {
    const headers = ['Location', 'https://x/_postern/sign-in', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'];
    const fieldOf = (flat: readonly string[], name: string) => flat[flat.indexOf(name) + 1];
    for (const [given, carried] of [
      [302, 401],
      [401, 401],
      [403, 403],
      [400, 403],
      [431, 403],
      [429, 403],
      [503, 403],
    ] as const) {
      const answer = adaptForNginx({ status: given, headers, body: '{"a":"ä"}' });
      assert.equal(answer.status, carried);
      assert.equal(fieldOf(answer.headers, 'X-Postern-Status'), String(given));
      assert.equal(fieldOf(answer.headers, 'X-Postern-Location'), 'https://x/_postern/sign-in');
      assert.equal(fieldOf(answer.headers, 'X-Postern-Set-Cookie-2'), 'b=2');
      assert.deepEqual(JSON.parse(fieldOf(answer.headers, 'X-Postern-Body') as string), { a: 'ä' });
    }
    const allow = adaptForNginx({ status: 200, headers: ['Set-Cookie', 'a=1'], body: '' });
    assert.equal(allow.status, 200);
    assert.deepEqual(allow.headers, ['Set-Cookie', 'a=1', 'X-Postern-Set-Cookie-1', 'a=1']);
  });

  it('refuses everybody but trusted proxies', async () => {
    const closed = await openGate({ rules: RULES, trustedProxies: ['192.0.2.1'] });
    try {
      for (const way of WAYS) {
        const path = `/verify/${way.name}${way.name === 'envoy' ? '/public/x' : ''}`;
        const headers = way.headers({ target: '/public/x' }).flat();
        assert.equal((await rawRequest(closed.port, path, { headers })).status, 403, way.name);
      }
      assertRefused(await closed.ask('/public/x'), 403, 'untrusted_proxy');
    } finally {
      await closed.close();
    }
  });

  it('counts clients apart behind a load balancer, by what the operator’s own proxies saw', async () => {
    const settings = { rules: RULES, trustedHops: 2, rateLimits: [{ by: 'address', limit: 1, per: '1h' }] };
    for (const way of WAYS) {
      const limited = await openGate(settings);
      try {
        const statusOf = async (client: string) => {
          const path = `/verify/${way.name}${way.name === 'envoy' ? '/public/x' : ''}`;
          const headers = way
            .headers({ target: '/public/x' })
            .flatMap(([name, value]) => [name, /-For$/.test(name) ? `${client}, 192.0.2.1` : value]);
          return (await rawRequest(limited.port, path, { headers })).status;
        };
        const over = way.name === 'nginx' ? 403 : 429;
        assert.deepEqual(
          [await statusOf('203.0.113.1'), await statusOf('203.0.113.2'), await statusOf('203.0.113.1')],
          [200, 200, over],
          way.name,
        );
        assert.equal(await statusOf('198.51.100.77, 203.0.113.1'), over, 'what a client adds itself does not count');
      } finally {
        await limited.close();
      }
    }
  });
});
