import assert from 'node:assert/strict';
import { type Chain, startChain } from '../support/chain.ts';
import { programOrSkip } from '../support/programs.ts';
import { rawRequest } from '../support/raw-request.ts';

const OPERATOR = { user: 'operator', password: 'correct-horse-battery-9' };
const BASIC = ['Authorization', `Basic ${btoa(`${OPERATOR.user}:${OPERATOR.password}`)}`];

/** Spellings by which a path could be one thing to the rules and another to the relay. */
const CONFUSIONS = [
  '/admin',
  '/admin/',
  '/admin/api/servers',
  '//admin',
  '/./admin',
  '/%61dmin',
  '/admin%2fapi%2fservers',
  '/admin;x=1',
  '/admin?/servers/everything/mcp',
  '/servers/everything/../../admin',
  '/servers/everything/%2e%2e/%2e%2e/admin',
  '/servers/everything/..%2f..%2fadmin',
  '/servers/everything/..;/..;/admin',
  '/servers/everything/mcp/..\\..\\..\\admin',
  '/servers/everything/mcp/../../../admin/api/servers',
];

describe('the admin pages behind the real Traefik, with the files of deploy/traefik', () => {
  let chain: Chain;
  let alice: string;

  before(async function () {
    this.timeout(300_000);
    chain = await startChain('traefik', await programOrSkip(this, 'traefik'), {
      BASIC_AUTH_USER: OPERATOR.user,
      BASIC_AUTH_PASSWORD: OPERATOR.password,
      POSTERN_RELAY_ADMIN_GROUPS: 'engineering',
      // As the deployment has them: nothing about /admin.
      POSTERN_AUTH_RULES: JSON.stringify([
        { match: { path: '/servers/everything/**' }, allow: { groups: ['engineering'] } },
        { match: { path: '/public/**' }, public: true },
      ]),
    });
    alice = await chain.token('alice', 'everything');
  });

  after(async function () {
    this.timeout(60_000);
    await chain?.stop();
  });

  const isAdmin = (body: string) => /MCP servers|"servers":|Signed in as/.test(body);

  it('are there at the relay itself', async () => {
    const { status, body } = await rawRequest(chain.ports.relay, '/admin', { headers: BASIC });
    assert.equal(status, 200);
    assert.ok(isAdmin(body));
  });

  for (const path of CONFUSIONS)
    it(`cannot be reached by ${path}, with an MCP client’s token, the operator’s password, or neither`, async () => {
      for (const headers of [['Authorization', `Bearer ${alice}`], BASIC, []]) {
        const { status, body } = await rawRequest(chain.ports.edge, path, { headers });
        assert.ok(!isAdmin(body), `${path}: ${status}`);
        assert.notEqual(status, 200, path);
      }
    });

  it('do not believe what a client says of itself, through the proxy or past it', async () => {
    const forged = ['X-Authenticated-User', 'alice', 'X-Authenticated-Groups', 'engineering'];
    const all = [...forged, 'X-Authenticated-Method', 'session', 'X-Authenticated-Issuer', chain.provider.issuer];
    for (const [port, path] of [
      [chain.ports.edge, '/admin'],
      [chain.ports.edge, '/public/../admin'],
      [chain.ports.relay, '/admin'],
    ] as const) {
      const { status, body } = await rawRequest(port, path, { headers: all });
      assert.ok(status >= 400, `${path}: ${status}`);
      assert.ok(!isAdmin(body));
    }
  });
});
