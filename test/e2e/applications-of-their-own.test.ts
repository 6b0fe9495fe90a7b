import assert from 'node:assert/strict';
import { request } from 'undici';
import {
  CLIENT_SECRET,
  type InteractiveProvider,
  startInteractiveProvider,
} from '../forward-auth/login/support/interactive-provider.ts';
import { DEPLOYMENTS, type Deployment } from '../support/deployment.ts';
import { programOrSkip } from '../support/programs.ts';
import { ECHO, type Gauntlet, type OpenFront, PUBLIC_URL, startGauntlet } from './attacks/gauntlet.ts';
import { exchange, written } from './attacks/wire.ts';
import { valuesOf } from './attacks/witness.ts';

const LISTED = 'https://spa.example.org';
const RULES = [
  { match: { path: '/servers/**' }, allow: 'anyone-signed-in', sessionOnly: true },
  { match: { path: '/home/**' }, allow: 'anyone-signed-in', sessionOnly: true },
  { match: { path: '/api/**', methods: ['PUT'] }, allow: 'anyone-signed-in' },
];
/** As applications send them: none of them is one of ours. */
const OWN = [
  { target: '/home/api/states', lines: ['Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJob21lIn0.c2ln'] },
  { target: '/home/chat/hub?id=1&access_token=a.b-c%2Bd', lines: [] },
  { target: '/home/opaque', lines: ['Authorization: Bearer 0123456789abcdef'] },
  { target: '/home/both?access_token=x', lines: ['Authorization: bearer X', 'X-API-Key: pst_application'] },
  { target: '/home/basic', lines: ['Authorization: Basic YTpi'] },
];

/** Signs in at forward-auth itself, whose public address nothing serves. @returns the `Cookie` header */
async function sessionCookie(auth: number): Promise<string> {
  const jars = new Map<string, Map<string, string>>();
  let at = new URL(`${PUBLIC_URL}/_postern/sign-in?rd=%2Fhome%2F`);
  for (let hop = 0; hop < 12; hop++) {
    const own = at.origin === PUBLIC_URL;
    const jar = jars.get(at.host) ?? new Map<string, string>();
    jars.set(at.host, jar);
    const { statusCode, headers, body } = await request(
      own ? `http://127.0.0.1:${auth}${at.pathname}${at.search}` : at,
      {
        headers: {
          ...(own ? { host: at.host } : {}),
          accept: 'text/html',
          'sec-fetch-mode': 'navigate',
          cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        },
      },
    );
    const text = await body.text();
    for (const cookie of [headers['set-cookie'] ?? []].flat()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      jar.set(name, value);
    }
    const session = jar.get('__Host-postern');
    if (session !== undefined && session !== '') return `__Host-postern=${session}`;
    assert.ok(headers.location !== undefined, `${at.pathname}: ${statusCode} ${text.slice(0, 300)}`);
    at = new URL(String(headers.location), at);
  }
  throw new Error('no session came');
}

describe('applications with credentials and preflights of their own, through every shipped proxy', () => {
  let gauntlet: Gauntlet;
  let idp: InteractiveProvider;
  let cookie: string;

  before(async function () {
    this.timeout(60_000);
    idp = await startInteractiveProvider(PUBLIC_URL, '/_postern/callback');
    gauntlet = await startGauntlet(RULES, {
      POSTERN_AUTH_PROVIDERS: JSON.stringify([
        { id: 'people', issuer: idp.issuer, clientId: 'postern', clientSecret: CLIENT_SECRET },
      ]),
      POSTERN_AUTH_SIGN_IN_CORS_ORIGINS: LISTED,
    });
    cookie = await sessionCookie(gauntlet.ports.auth);
  });
  after(async function () {
    this.timeout(60_000);
    await gauntlet?.stop();
    await idp?.stop();
  });

  for (const name of Object.keys(DEPLOYMENTS) as Deployment[])
    describe(name, function () {
      this.timeout(60_000);
      let front: OpenFront;

      before(async function () {
        this.timeout(300_000);
        const program = await programOrSkip(this, DEPLOYMENTS[name].program);
        front = await gauntlet.open(name, program, 'witness');
      });

      async function send(target: string, lines: readonly string[], method = 'GET') {
        const before = gauntlet.witness.seen.length;
        const bytes = written({ method, target, lines: [...lines] });
        const { statuses, text } = await exchange(front, { bytes, patience: 10_000 });
        return { status: statuses[0], text, seen: gauntlet.witness.seen.slice(before) };
      }

      it('the credential of the application arrives beside the session', async () => {
        for (const { target, lines } of OWN) {
          const { status, text, seen } = await send(target, [...lines, `Cookie: ${cookie}; theme=dark`]);
          assert.equal(status, 200, `${target}: ${text.slice(0, 400)}`);
          const [one] = seen;
          assert.equal(one?.url, target);
          const raw = one?.rawHeaders ?? [];
          assert.deepEqual(valuesOf(raw, 'X-Authenticated-User'), ['alice']);
          assert.ok(!valuesOf(raw, 'Cookie').join().includes('__Host-postern'), 'our cookie stays here');
          for (const line of lines) {
            const [header = '', value = ''] = line.split(': ');
            assert.deepEqual(valuesOf(raw, header), [value], `${target} ${header}`);
          }
        }
      });

      it('it signs nobody in', async () => {
        const ours = [{ target: '/home/x', lines: [`Authorization: Bearer ${gauntlet.token}`] }];
        for (const { target, lines } of [...ours, ...OWN]) {
          const { status, seen } = await send(target, lines);
          assert.deepEqual([status, seen.length], [401, 0], target);
        }
      });

      it('an MCP server of the relay takes no session beside a token', async () => {
        const { status, seen } = await send(ECHO, ['Authorization: Bearer x', `Cookie: ${cookie}`]);
        assert.ok(status !== undefined && status >= 400, `${status}`);
        assert.equal(seen.length, 0);
      });

      const asks = (origin: string, method: string) => [
        `Origin: ${origin}`,
        `Access-Control-Request-Method: ${method}`,
        'Access-Control-Request-Headers: authorization, x-custom',
      ];

      it('preflights of a listed origin reach the application as nobody, at every path of a rule', async () => {
        for (const [target, method] of [
          ['/home/', 'GET'],
          ['/home/a/b?c=d', 'DELETE'],
          ['/api/items/1', 'PUT'],
        ] as const) {
          const { status, seen, text } = await send(target, asks(LISTED, method), 'OPTIONS');
          assert.equal(status, 200, `${target}: ${text.slice(0, 300)}`);
          assert.deepEqual(
            seen.map(({ method, url }) => [method, url]),
            [['OPTIONS', target]],
          );
          const raw = seen[0]?.rawHeaders ?? [];
          assert.deepEqual(valuesOf(raw, 'X-Authenticated-User').join(''), '');
          assert.deepEqual(valuesOf(raw, 'Access-Control-Request-Headers'), ['authorization, x-custom']);
        }
      });

      it('no other request passes for one', async () => {
        for (const [target, lines, method] of [
          ['/home/', asks('https://other.example', 'GET'), 'OPTIONS'],
          ['/home/', asks(`${LISTED}.evil.example`, 'GET'), 'OPTIONS'],
          ['/home/', asks('null', 'GET'), 'OPTIONS'],
          ['/home/', [`Origin: ${LISTED}`], 'OPTIONS'],
          ['/home/', asks(LISTED, 'GET'), 'GET'],
          ['/home/', [...asks(LISTED, 'GET'), 'Authorization: Bearer x'], 'OPTIONS'],
          ['/home/', [...asks(LISTED, 'GET'), 'Cookie: __Host-postern=x'], 'OPTIONS'],
          ['/api/items/1', asks(LISTED, 'DELETE'), 'OPTIONS'],
          ['/nowhere', asks(LISTED, 'GET'), 'OPTIONS'],
        ] as const) {
          const { status, seen } = await send(target, lines, method);
          assert.ok(status === 401 || status === 403, `${target} ${lines.join()}: ${status}`);
          assert.equal(seen.length, 0, `${target} ${lines.join()}`);
        }
      });
    });
});
