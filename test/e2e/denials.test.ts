import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { type Gate, openGate, RESOURCE } from '../forward-auth/support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from '../forward-auth/support/key-server.ts';
import { adminRelay, look, OPERATOR, read, SIGNED_IN, say, toolServer } from '../relay/admin/support/admin.ts';
import { endAll, type RelayUnderTest } from '../relay/support/relay.ts';
import { rawRequest } from '../support/raw-request.ts';

type Json = Record<string, unknown>;
interface Denials {
  readonly entries: Json[];
  readonly forwardAuthProblem?: string;
}

const TOKEN = 'operator-token-operator-token-operator';
const GITHUB = '/servers/github/mcp';

describe('denials of both processes on the admin pages', () => {
  const key = rsaKey('one');
  let idp: KeyServer;
  let gate: Gate;
  let under: RelayUnderTest;

  before(async () => {
    idp = await startKeyServer([key]);
    gate = await openGate({
      operatorToken: TOKEN,
      providers: [{ id: 'corp', issuer: idp.issuer }],
      rules: [
        { match: { path: '/servers/github/**' }, allow: { groups: ['enginering', 'sales'] } },
        { match: { path: '/public/**' }, public: true },
      ],
    });
    under = await adminRelay({
      admin: { ...OPERATOR, forwardAuth: { url: `http://127.0.0.1:${gate.internalPort}`, token: TOKEN } },
      servers: { github: { url: await toolServer([{ name: 'add', inputSchema: { type: 'object' } }]) } },
      policy: {
        rules: [
          { effect: 'deny', tools: ['delete_*'] },
          { who: { groups: ['engineering'] }, tools: ['add'] },
        ],
      },
    });
    const alice = await idp.sign(key, { aud: RESOURCE, preferred_username: 'alice.archer', name: 'Alice Archer' });
    const late = await idp.sign(key, { aud: RESOURCE, exp: Math.floor(Date.now() / 1000) - 3_600 });
    await gate.ask(`${GITHUB}?access=secret-in-query`, { token: alice, headers: ['X-Request-Id', 'r-1'] });
    await gate.ask(GITHUB, { token: alice });
    await gate.ask(GITHUB, { token: late });
    await gate.ask(GITHUB);
    await gate.ask('/public/a');
    await gate.ask('/nobody-wrote-a-rule');
    await gate.ask('/verify', { host: 'other.example.com' });
    const groups = (...names: string[]) => ['X-Authenticated-Groups', names.join(',')];
    const call = (name: string) => ({ method: 'tools/call', params: { name } });
    await say(under.port, 'bob', call('add'), 'github', groups('engineers', 'enginering'));
    await say(under.port, 'bob', call('delete_all'), 'github', groups('engineering'));
    await say(under.port, 'bob', call('other'), 'github', groups('engineering'));
  });
  after(async () => {
    await endAll();
    await gate?.close();
    await idp?.stop();
  });

  const denials = (query = '') => read<Denials>(under.port, `/admin/api/denials${query}`);
  const operator = (path: string, token = TOKEN) =>
    rawRequest(gate.internalPort, path, { headers: ['Authorization', `Bearer ${token}`] });

  it('say of forward-auth what the rule needs, what the user has, and the fix', async () => {
    const { entries, forwardAuthProblem } = await denials();
    assert.equal(forwardAuthProblem, undefined);
    const [denied] = entries.filter(({ reason }) => reason === 'not_allowed');
    assert.equal(denied?.process, 'forward-auth');
    assert.equal(denied.user, `${idp.issuer}#alice`);
    assert.equal(denied.rule, 'auth.rules[0]');
    assert.equal(denied.server, 'github');
    assert.deepEqual([denied.username, denied.name], ['alice.archer', 'Alice Archer']);
    assert.equal(denied.needs, 'one of the groups [enginering, sales]');
    assert.equal(denied.has, 'groups [engineering]');
    assert.match(String(denied.fix), /"engineering" is nearly "enginering"/);
    assert.equal(denied.count, 2);
    assert.doesNotMatch(JSON.stringify(entries), /secret-in-query|eyJ/);
    const { denials: lines } = JSON.parse((await operator('/denials?server=github')).body) as { denials: Json[] };
    assert.equal(
      lines.some((line) => 'missing' in line),
      false,
      'what chooses the words of a page is not for operators',
    );
  });

  it('say the same of the relay, in log and audit too', async () => {
    const { entries } = await denials('?user=bob');
    const told = entries.map(({ process, object, rule, needs, has }) => [process, object, rule, needs, has]);
    const allOf = 'user bob with groups [engineering]';
    assert.deepEqual(told.reverse(), [
      ['relay', 'add', 'relay.policy.default', 'one of the groups [engineering]', 'groups [engineers, enginering]'],
      [
        ...['relay', 'delete_all', 'relay.policy.rules[0]', 'a message that relay.policy.rules[0] does not deny'],
        `tools/call "delete_all" of server "github" by ${allOf}`,
      ],
      [
        ...['relay', 'other', 'relay.policy.default', 'a rule that allows tools/call "other" of server "github"'],
        'none',
      ],
    ]);
    const line = under.logs.map((text) => JSON.parse(text) as Json).find(({ rule }) => rule === 'relay.policy.default');
    assert.equal(line?.needs, 'one of the groups [engineering]');
    assert.match(String(line.fix), /"enginering" is nearly "engineering".*relay\.policy\.rules\[1\]\.who\.groups/);
  });

  it('are those where a credential or a rule was missing, not clients that have not signed in', async () => {
    const { entries } = await denials();
    const reasons = entries.filter(({ process }) => process === 'forward-auth').map(({ reason }) => reason);
    assert.deepEqual([...reasons].sort(), ['no_rule', 'no_rule', 'not_allowed', 'token_expired']);
  });

  it('are found by user and by server', async () => {
    for (const user of ['alice', `${idp.issuer}#alice`, 'ALICE.ARCHER'])
      assert.deepEqual(
        (await denials(`?user=${encodeURIComponent(user)}`)).entries.map(({ reason }) => reason),
        ['not_allowed'],
        user,
      );
    const ofServer = (await denials('?server=github')).entries;
    assert.equal(ofServer.length, 5);
    assert.equal((await denials('?server=none')).entries.length, 0);
    assert.equal((await denials('?user=nobody')).entries.length, 0);
  });

  it('are on the page with their process, and whose they are', async () => {
    const page = (await look(under.port, '/admin/denials')).text;
    assert.match(page, /forward-auth/);
    assert.match(page, /Alice Archer <span class="user">/);
    assert.match(page, /needs one of the groups \[enginering, sales\]/);
    assert.match(page, /has groups \[engineering\]/);
    assert.ok(
      page.includes(
        `Each replica knows its own denials: these are of the relay at ${hostname()} and of forward-auth at ${hostname()}`,
      ),
    );
    assert.doesNotMatch(page, /are not shown/);
  });

  it('are the relay’s alone, and the page says so, where forward-auth cannot be asked', async () => {
    const page = await toolServer([]);
    const access = { url: `http://127.0.0.1:${gate.internalPort}`, token: TOKEN };
    for (const [forwardAuth, problem] of [
      [undefined, /set relay\.admin\.forwardAuth/],
      [{ ...access, url: 'http://127.0.0.1:1' }, /does not answer/],
      [{ ...access, token: 'wrong' }, /answers 401/],
      [{ ...access, url: page }, /not as auth\.internalListen/],
    ] as const) {
      const alone = await adminRelay({
        admin: { ...OPERATOR, ...(forwardAuth && { forwardAuth }) },
        servers: { one: { url: page } },
        policy: { rules: [] },
      });
      await say(alone.port, 'carl', { method: 'tools/list' });
      const { entries, forwardAuthProblem } = await read<Denials>(alone.port, '/admin/api/denials');
      assert.match(String(forwardAuthProblem), problem);
      assert.deepEqual(
        entries.map(({ user }) => user),
        ['carl'],
      );
      const shown = (await look(alone.port, '/admin/denials', SIGNED_IN)).text;
      assert.match(shown, /Denials of forward-auth are not shown/);
      assert.match(shown, /carl/);
    }
  });

  it('are for the operator only, and a wrong limit is said', async () => {
    assert.equal((await operator('/denials', 'wrong')).status, 401);
    assert.equal(
      (await rawRequest(gate.port, '/denials', { headers: ['Authorization', `Bearer ${TOKEN}`] })).status,
      404,
    );
    for (const limit of ['0', '-1', 'many', '1001', '1e3', '']) {
      const answer = await operator(`/denials?limit=${limit}`);
      assert.equal(answer.status, 400, limit);
      assert.match(answer.body, /from 1 to 1000/);
    }
    const { denials: one } = JSON.parse((await operator('/denials?limit=1')).body) as { denials: Json[] };
    assert.deepEqual(
      one.map(({ user }) => user !== undefined),
      [false, true],
    );
  });

  it('of known users outlast a flood of strangers, and a reload', async () => {
    for (let from = 0; from < 550; from += 50)
      await Promise.all(Array.from({ length: 50 }, (_, turn) => gate.ask(`/scan/${from + turn}`)));
    await gate.reload({
      operatorToken: TOKEN,
      providers: [{ id: 'corp', issuer: idp.issuer }],
      rules: [{ match: { path: '/scan/**' }, public: true }],
    });
    const { entries } = await denials('?limit=1000');
    assert.ok(entries.some(({ reason, user }) => reason === 'not_allowed' && user === `${idp.issuer}#alice`));
    const strangers = entries.filter(({ process, user }) => process === 'forward-auth' && user === undefined);
    assert.equal(strangers.length, 500);
    assert.ok(strangers.every(({ object }) => String(object).includes('/scan/')));
  });
});
