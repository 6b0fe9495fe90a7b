import assert from 'node:assert/strict';
import { startChild } from '../support/child.ts';
import { copyFolder, type Replacement } from '../support/copied-folder.ts';
import { type EchoUpstream, startEchoUpstream } from '../support/echo-upstream.ts';
import { freePorts } from '../support/free-port.ts';
import { goProgramOrSkip } from '../support/go-program.ts';
import { HttpPerson } from '../support/http-person.ts';
import { startPostern } from '../support/postern-process.ts';
import { programOrSkip } from '../support/programs.ts';
import { rawRequest } from '../support/raw-request.ts';
import { CLIENT, type SignInProvider, startSignInProvider } from '../support/sign-in-provider.ts';

const MODULE = 'github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6';
const ENV = {
  OAUTH2_PROXY_CLIENT_SECRET: CLIENT.secret,
  OAUTH2_PROXY_COOKIE_SECRET: Buffer.alloc(32, 7).toString('base64url'),
  POSTERN_RELAY_TRUST_SECRET: 'the secret that Traefik and the relay share',
};
const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x', arguments: {} } });
const MCP = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];

/** What a client writes who would be somebody else, in every family of names. */
const FORGED = [
  ...['X-Forwarded-User', 'root', 'X-Forwarded-Email', 'root@example.com', 'X-Forwarded-Groups', 'admins'],
  ...['X-Auth-Request-User', 'root', 'X-Auth-Request-Email', 'root@example.com', 'X-Auth-Request-Groups', 'admins'],
  ...['X-Authenticated-User', 'root', 'X-Authenticated-Groups', 'admins', 'Remote-User', 'root'],
];

for (const way of ['reverse-proxy', 'forward-auth'] as const)
  describe(`the real oauth2-proxy, with the files of deploy/oauth2-proxy/${way}`, () => {
    const end: Array<() => unknown> = [];
    let edge: number;
    let relay: number;
    let echo: EchoUpstream;
    let provider: SignInProvider;
    let cookie: string;

    before(async function () {
      this.timeout(400_000);
      const program = await goProgramOrSkip(this, 'oauth2-proxy', MODULE);
      const traefik = way === 'forward-auth' ? await programOrSkip(this, 'traefik') : undefined;
      if (traefik?.kind === 'image') this.skip();
      const [a, b, c, d] = (await freePorts(4)) as [number, number, number, number];
      edge = a;
      relay = b;
      echo = await startEchoUpstream();
      end.unshift(() => echo.stop());
      provider = await startSignInProvider([`http://127.0.0.1:${edge}`], { callback: '/oauth2/callback' });
      end.unshift(() => provider.stop());

      const at = (from: number, to: number): Replacement => [`127.0.0.1:${from}`, `127.0.0.1:${to}`];
      const issuer: Replacement = ['http://127.0.0.1:4192', provider.issuer];
      const settings = [at(8080, edge), at(4444, relay), at(9465, d), at(4191, echo.port)];
      const files: Record<string, readonly Replacement[]> =
        way === 'reverse-proxy'
          ? { 'oauth2-proxy.cfg': [at(8080, edge), at(4444, relay), issuer], 'postern.yaml': settings }
          : {
              'oauth2-proxy.cfg': [at(8080, edge), at(4180, c), issuer],
              'traefik.yaml': [at(8080, edge)],
              'dynamic.yaml': [at(4180, c), at(4444, relay)],
              'postern.yaml': settings,
            };
      const named = Object.fromEntries(Object.entries(files).map(([file, list]) => [`${way}/${file}`, list]));
      const copy = await copyFolder('oauth2-proxy', named);
      end.unshift(copy.remove);
      const folder = `${copy.folder}/${way}`;

      const POSTERN_RELAY_SERVERS = JSON.stringify({
        everything: { url: `http://127.0.0.1:${echo.port}/mcp`, identityHeaders: true },
      });
      const secret = way === 'forward-auth' ? { POSTERN_RELAY_TRUST_SECRET: ENV.POSTERN_RELAY_TRUST_SECRET } : {};
      const running = await startPostern('relay', `${folder}/postern.yaml`, d, { ...secret, POSTERN_RELAY_SERVERS });
      end.unshift(() => running.stop());
      const proxy = await startChild('oauth2-proxy', program, ['--config', 'oauth2-proxy.cfg'], {
        cwd: folder,
        env: ENV,
        ready: `http://127.0.0.1:${way === 'forward-auth' ? c : edge}/ping`,
        readyOk: true,
      });
      end.unshift(() => proxy.stop());
      if (traefik !== undefined) {
        const front = await startChild('traefik', traefik.path, ['--configfile=traefik.yaml'], {
          cwd: folder,
          env: ENV,
          ready: async () => (await fetch(`http://127.0.0.1:${edge}/oauth2/userinfo`)).status === 401,
        });
        end.unshift(() => front.stop());
      }
      const alice = new HttpPerson();
      await alice.signIn(`http://127.0.0.1:${edge}/oauth2/start?rd=%2Foauth2%2Fuserinfo`, 'alice');
      cookie = alice.cookie('127.0.0.1');
      assert.match(cookie, /_oauth2_proxy/);
    });

    after(async function () {
      this.timeout(60_000);
      for (const stop of end) await stop();
    });

    const call = (headers: readonly string[], port = edge) =>
      rawRequest(port, '/servers/everything/mcp', { method: 'POST', headers: [...MCP, ...headers], body: CALL });
    /** What reached the MCP server of the identity. */
    const identity = () => {
      const raw = echo.seen.at(-1)?.rawHeaders ?? [];
      const value = (wanted: string) =>
        raw.filter((_, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === wanted).join('|');
      return {
        user: value('x-authenticated-user'),
        email: value('x-authenticated-email'),
        groups: value('x-authenticated-groups'),
        cookie: value('cookie'),
      };
    };
    const ALICE = { user: 'alice', email: 'alice@example.com', groups: 'engineering', cookie: '' };

    it('brings the person who signed in to the MCP server, groups and all, and no cookie', async () => {
      const answer = await call(['Cookie', cookie]);
      assert.equal(answer.status, 200, answer.body);
      assert.deepEqual(identity(), ALICE);
    });

    it('lets no client be anybody else by headers, in any family or spelling', async () => {
      const answer = await call(['Cookie', cookie, ...FORGED]);
      if (answer.status === 200) assert.deepEqual(identity(), ALICE);
      else assert.ok(answer.status === 400 || answer.status === 401, String(answer.status));
      const seen = echo.seen.length;
      const aliases = FORGED.map((text, index) => (index % 2 === 0 ? text.replaceAll('-', '_') : text));
      const spelt = await call(['Cookie', cookie, ...aliases]);
      if (spelt.status === 200) assert.deepEqual(identity(), ALICE);
      else assert.equal(echo.seen.length, seen);
    });

    it('lets nobody in without signing in, whatever they call themselves', async () => {
      const seen = echo.seen.length;
      assert.equal((await call([])).status, 401);
      assert.equal((await call(FORGED)).status, 401);
      assert.equal((await call(['Cookie', '_oauth2_proxy=forged', ...FORGED])).status, 401);
      assert.equal(echo.seen.length, seen);
    });

    it('takes a client’s JWT for its own client id, and of no other', async () => {
      const bearer = async (aud: string) => [
        'Authorization',
        `Bearer ${await provider.mint({ sub: 'bob', aud, email: 'bob@example.com', email_verified: true })}`,
      ];
      const good = await call(await bearer(CLIENT.id));
      assert.equal(good.status, 200, good.body);
      assert.equal(identity().user, 'bob');
      assert.ok([401, 403].includes((await call(await bearer('another'))).status));
    });

    // With the files of `reverse-proxy` the address is the proof, which the test has too: there it is the family that counts.
    it('has a relay that believes nobody who comes past it with the other family, or without the secret', async () => {
      assert.equal((await call(['X-Auth-Request-User', 'root'], relay)).status, 401);
    });
  });
