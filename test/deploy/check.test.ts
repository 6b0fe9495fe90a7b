import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { main } from '../../src/cli/main.ts';

const CHECK = fileURLToPath(new URL('../../deploy/check/check.mjs', import.meta.url));
const basic = (name: string) => `Basic ${Buffer.from(`${name}:${name}`).toString('base64')}`;

/** A deployment that lets alice in and refuses everybody else, carol in the way that a test chooses. */
function deployment(
  refusal: { status: number; headers?: Record<string, string>; body?: string },
  flaw: (headers: IncomingHttpHeaders) => unknown = () => undefined,
): Promise<Server> {
  const server = createServer((request, response) => {
    const { authorization } = request.headers;
    const wrong = flaw(request.headers);
    let text = '';
    request.on('data', (part) => (text += part));
    request.on('end', () => {
      if (typeof wrong === 'number') response.writeHead(wrong).end('{"jsonrpc":"2.0","id":1,"result":{}}');
      else if (typeof wrong === 'object') response.writeHead(403).end(JSON.stringify(wrong));
      else if (authorization === basic('carol')) response.writeHead(refusal.status, refusal.headers).end(refusal.body);
      else if (authorization !== basic('alice')) response.writeHead(401).end();
      else {
        const { id, method } = JSON.parse(text) as { id?: number; method: string };
        const result = method === 'initialize' ? { protocolVersion: '2025-06-18' } : { content: 'through the gate' };
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      }
    });
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

async function check(server: Server, ...options: string[]): Promise<{ code: number; out: string }> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const argv = [CHECK, '--edge', url, '--relay', url, '--session', 'basic', '--challenge', 'bare', ...options];
  return new Promise((resolve) =>
    execFile(process.execPath, argv, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), out: stdout + stderr }),
    ),
  );
}

describe('the check of a deployment', () => {
  const cases = [
    ['a refusal of the person', { status: 403, body: '{"error":"access_denied"}' }, 0],
    [
      'a lack of scopes, in the challenge',
      { status: 403, headers: { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' } },
      1,
    ],
    ['a lack of scopes, in the body', { status: 403, body: '{"error":"insufficient_scope"}' }, 1],
    ['no refusal', { status: 200, body: '{}' }, 1],
    ['a session that is not known', { status: 401 }, 1],
  ] as const;
  for (const [name, refusal, code] of cases)
    it(`takes ${name} for what it is`, async () => {
      const server = await deployment(refusal);
      const answer = await check(server);
      server.close();
      assert.equal(answer.code, code, answer.out);
      assert.match(answer.out, code === 0 ? /^ok +and is refused$/m : /^FAIL +and is refused$/m);
    });

  it('wants two people', async () => {
    const server = await deployment({ status: 403 });
    const answer = await check(server, '--outsider', 'alice');
    server.close();
    assert.equal(answer.code, 2);
    assert.match(answer.out, /--user and --outsider are both "alice"/);
  });

  describe('as `postern verify`', () => {
    async function verify(server: Server, ...argv: string[]): Promise<{ code: number; out: string }> {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const out: string[] = [];
      const print = (text: string) => void out.push(text);
      const usual = ['verify', url, '--relay', url, '--session', 'basic', '--challenge', 'bare'];
      const code = await main([...usual, ...argv], { env: {}, print, printError: print });
      return { code, out: out.join('\n') };
    }
    const people = ['--user', 'alice', '--password', 'alice', '--outsider', 'carol', '--outsider-password', 'carol'];

    for (const [name, refusal, code] of cases)
      it(`takes ${name} for what it is`, async () => {
        const server = await deployment(refusal);
        const answer = await verify(server, '--server', 'tools', ...people);
        server.close();
        assert.equal(answer.code, code, answer.out);
        assert.match(answer.out, code === 0 ? /^ok +and is refused$/m : /^FAIL +and is refused$/m);
      });

    /** What lets a request in that must not come in, or keeps one out that must: by the headers as they came. */
    type Flaw = (headers: IncomingHttpHeaders) => unknown;
    const FLAWS: Array<[name: string, step: RegExp, flaw: Flaw, where?: 'relay']> = [
      ['a server that is open to everybody', /^FAIL +a client without a session is refused$/m, () => 200],
      [
        'a believed identity header',
        /^FAIL +an identity written by the client/m,
        (h) => h['x-authenticated-user'] && 200,
      ],
      [
        "a believed header of another product's",
        /^FAIL +an identity written by the client/m,
        (h) => h['remote-user'] && 200,
      ],
      ['a believed spelling of it', /^FAIL +X_Authenticated_User is refused$/m, (h) => h.x_authenticated_user && 200],
      [
        'another believed spelling',
        /^FAIL +X\.Authenticated\.User is refused$/m,
        (h) => h['x.authenticated.user'] && 200,
      ],
      [
        'a believed token',
        /^FAIL +a token of no user is refused$/m,
        (h) => /^Bearer/.test(h.authorization ?? '') && 200,
      ],
      [
        'a relay that believes everybody',
        /^FAIL +the relay itself believes no one$/m,
        (h) => h['x-authenticated-user'] && 200,
        'relay',
      ],
      [
        'a relay that believes any secret',
        /^FAIL +the relay itself believes no one$/m,
        (h) => h['x-postern-proxy-secret'] && 200,
        'relay',
      ],
      ['a relay that is away', /^FAIL +the relay itself believes no one\n +502/m, () => 502, 'relay'],
      [
        'a user who is kept out',
        /^FAIL +and uses the server with the session\n +initialize: 403/m,
        (h) => h.authorization === basic('alice') && 403,
      ],
      ['an outsider who is let in', /^FAIL +and is refused\n +200/m, (h) => h.authorization === basic('carol') && 200],
      [
        'an outsider who is let in by groups of their own',
        /^FAIL +also with the groups of another/m,
        (h) => h.authorization === basic('carol') && h['x-authenticated-groups'] && 200,
      ],
      [
        'no rule for anybody',
        /403 no_rule: no rule refuses this person; write a rule/,
        (h) => h.authorization === basic('carol') && { reason: 'no_rule' },
      ],
      [
        'a suspended outsider',
        /403 user_suspended: .*they are suspended/,
        (h) => h.authorization === basic('carol') && { reason: 'user_suspended' },
      ],
      [
        'a proxy that forward-auth does not know',
        /403 untrusted_proxy: .*would refuse everybody/,
        (h) => h.authorization === basic('carol') && { reason: 'untrusted_proxy' },
      ],
    ];
    for (const [name, step, flaw, where = 'edge'] of FLAWS)
      it(`names ${name}`, async () => {
        const right = await deployment({ status: 403 });
        const broken = await deployment({ status: 403 }, flaw);
        const [edge, relay] = where === 'edge' ? [broken, right] : [right, broken];
        const at = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const answer = await verify(edge, '--server', 'tools', ...people, '--relay', at(relay));
        right.close();
        broken.close();
        assert.equal(answer.code, 1, answer.out);
        assert.match(answer.out, step);
      });

    it('says what was not tried', async () => {
      const server = await deployment({ status: 403, body: '{"reason":"not_allowed"}' });
      const all = await verify(server, '--server', 'tools', ...people);
      const some = await verify(server, '--server', 'tools');
      server.close();
      assert.match(all.out, /^all is well$/m);
      assert.equal(some.code, 0);
      assert.match(
        some.out,
        /^all that was tried is well; not tried: that a user gets through \(--user\), that another/m,
      );
    });

    for (const [argv, message] of [
      [['--server', 'tools', '--user', 'a', '--password', 'a', '--outsider', 'a'], /are both "a"/],
      [['--user', 'a', '--password', 'a'], /--server is needed/],
      [['--server', 'tools', '--user', 'a'], /--password of "a" is needed/],
      [['--server', 'tools', '--outsider', 'a'], /--outsider needs --user/],
      [['--server', 'tools', '--challenge', 'none'], /--challenge is mcp or bare/],
    ] as Array<[string[], RegExp]>)
      it(`ends with 64: ${argv.join(' ')}`, async () => {
        const server = await deployment({ status: 403 });
        const answer = await verify(server, ...argv);
        server.close();
        assert.equal(answer.code, 64);
        assert.match(answer.out, message);
      });
  });
});
