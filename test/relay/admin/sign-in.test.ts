import assert from 'node:assert/strict';
import { ask, endAll, relay } from '../support/relay.ts';
import { adminRelay, basic, look, OPERATOR, SIGNED_IN } from './support/admin.ts';

describe('signing in to the admin pages', () => {
  afterEach(endAll);

  it('is off where nothing is configured', async () => {
    const { port } = await relay({ trust: { enabled: true } });
    for (const path of ['/admin', '/admin/api/servers'])
      assert.equal((await look(port, path, ['X-Authenticated-User', 'ann'])).status, 404, path);
  });

  it('takes the operator’s name and password, and nobody else’s', async () => {
    const { port } = await adminRelay();
    const asked = await look(port, '/admin', []);
    assert.equal(asked.status, 401);
    assert.match(String(asked.headers['www-authenticate']), /^Basic realm="Postern admin", charset="UTF-8"$/);
    assert.equal((await look(port, '/admin')).status, 200);
    assert.equal((await look(port, '/admin/api/servers')).status, 200);
    for (const [user, password] of [
      [OPERATOR.user, 'wrong'],
      ['somebody', OPERATOR.password],
      [OPERATOR.user, ''],
      ['', ''],
      [OPERATOR.user, `${OPERATOR.password} `],
    ] as const) {
      const refused = await look(port, '/admin', basic(user, password));
      assert.equal(refused.status, 401, `${user}:${password}`);
      assert.doesNotMatch(refused.text, new RegExp(OPERATOR.password));
    }
  });

  it('lets names and passwords be UTF-8', async () => {
    const { port } = await adminRelay({ admin: { user: 'jürgen', password: 'zwölf Größen übrig' } });
    assert.equal((await look(port, '/admin', basic('jürgen', 'zwölf Größen übrig'))).status, 200);
  });

  it('takes the old and the new password while they are rotated, and warns of each weak one', async () => {
    const password = [OPERATOR.password, 'zwölf Größen übrig'];
    const { port } = await adminRelay({ admin: { user: 'jürgen', password } });
    for (const one of password) assert.equal((await look(port, '/admin', basic('jürgen', one))).status, 200);
    for (const one of [password.join('\n'), password.join(','), ''])
      assert.equal((await look(port, '/admin', basic('jürgen', one))).status, 401);
    await assert.rejects(
      adminRelay({ admin: { user: 'jürgen', password: [...password, 'changeme'] } }),
      /relay\.admin\.password: is one that everybody tries first/,
    );
  });

  it('locks out who guesses, right guesses included, and nobody else', async () => {
    const { port, logs } = await adminRelay();
    const from = (address: string) => ['X-Forwarded-For', address];
    // All at once: what is in flight counts too.
    const guesses = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        look(port, '/admin', [...basic('operator', `guess ${index}`), ...from('192.0.2.1')]),
      ),
    );
    assert.equal(guesses.filter(({ status }) => status === 401).length, 20);
    assert.equal(guesses.filter(({ status }) => status === 429).length, 30);
    const right = await look(port, '/admin', [...SIGNED_IN, ...from('192.0.2.1')]);
    assert.equal(right.status, 429);
    assert.ok(Number(right.headers['retry-after']) > 0);
    assert.equal((await look(port, '/admin', [...SIGNED_IN, ...from('192.0.2.2')])).status, 200);
    assert.ok(logs.some((line) => line.includes('wrong_password')));
    assert.doesNotMatch(logs.join(''), /guess \d/);
  });

  it('tells clients apart behind several proxies, so that who guesses locks out only themselves', async () => {
    const { port } = await adminRelay({ trust: { enabled: true, hops: 2 } });
    const from = (address: string) => ['X-Forwarded-For', `198.51.100.7, ${address}, 203.0.113.1`];
    for (let index = 0; index < 21; index++)
      await look(port, '/admin', [...basic('operator', 'x'), ...from('192.0.2.1')]);
    assert.equal((await look(port, '/admin', [...SIGNED_IN, ...from('192.0.2.1')])).status, 429);
    assert.equal((await look(port, '/admin', [...SIGNED_IN, ...from('192.0.2.2')])).status, 200);
  });

  it('counts all IPv6 addresses of one subscriber as one client', async () => {
    const { port } = await adminRelay();
    const from = (address: string) => ['X-Forwarded-For', address];
    for (let index = 0; index < 21; index++)
      await look(port, '/admin', [...basic('operator', 'x'), ...from(`2001:db8:0:1::${index}`)]);
    assert.equal((await look(port, '/admin', [...SIGNED_IN, ...from('2001:db8:0:1::ffff')])).status, 429);
    assert.equal((await look(port, '/admin', [...SIGNED_IN, ...from('2001:db8:0:2::1')])).status, 200);
  });

  it('does not let a client guess on by inventing addresses', async () => {
    const { port } = await adminRelay();
    const statuses: number[] = [];
    for (let index = 0; index < 110; index++)
      statuses.push(
        (await look(port, '/admin', [...basic('operator', 'x'), 'X-Forwarded-For', `10.0.0.${index}`])).status,
      );
    assert.equal(statuses.at(-1), 429);
  });

  it('believes X-Forwarded-For of proxies only', async () => {
    const { port } = await adminRelay({ trust: { enabled: true, proxies: ['192.0.2.9'] } });
    const statuses: number[] = [];
    for (let index = 0; index < 22; index++)
      statuses.push(
        (await look(port, '/admin', [...basic('operator', 'x'), 'X-Forwarded-For', `10.0.0.${index}`])).status,
      );
    assert.equal(statuses.at(-1), 429);
  });

  it('does not count who is right', async () => {
    const { port } = await adminRelay();
    for (let index = 0; index < 25; index++) assert.equal((await look(port, '/admin')).status, 200);
  });

  it('reports who guesses as a security event', async () => {
    const { port, metrics } = await adminRelay();
    await look(port, '/admin', basic('operator', 'wrong'));
    const counted = /postern_security_events_total\{process="relay",kind="operator_refused"\} 1/;
    for (let tries = 0; tries < 100 && !counted.test(await metrics()); tries++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    assert.match(await metrics(), counted);
  });

  it('ends by the link on every page: the browser forgets the password', async () => {
    const { port, logs } = await adminRelay();
    for (const path of ['/admin', '/admin/tools', '/admin/nothing'])
      assert.match((await look(port, path)).text, /<a href="\/admin\/sign-out">Sign out<\/a>/, path);
    const out = await look(port, '/admin/sign-out');
    assert.equal(out.status, 401);
    assert.match(String(out.headers['www-authenticate']), /^Basic /);
    assert.match(out.text, /<h1>Signed out<\/h1>/);
    assert.doesNotMatch(out.text, /Signed in as|aria-label="Admin"/);
    assert.doesNotMatch(logs.join(''), /an operator was not let in/);
    assert.equal((await look(port, '/admin/sign-out', [])).status, 401);
    assert.equal((await ask(port, { path: '/admin/sign-out', headers: SIGNED_IN, body: '' })).status, 404);
  });

  describe('by a group', () => {
    const admin = { groups: ['mcp-admins'] };
    const as = (method: string, groups: string) => [
      ...['X-Authenticated-User', 'ann', 'X-Authenticated-Groups', groups],
      ...['X-Authenticated-Method', method, 'X-Authenticated-Issuer', 'https://idp.example.com'],
    ];

    it('takes a browser session of a member, proven by the proxy', async () => {
      const { port } = await adminRelay({ admin });
      const page = await look(port, '/admin', as('session', 'staff,mcp-admins'));
      assert.equal(page.status, 200, page.text);
      assert.match(page.text, /Signed in as ann/);
      const out = await look(port, '/admin/sign-out', as('session', 'mcp-admins'));
      assert.deepEqual([out.status, out.headers.location], [303, '/_postern/sign-out']);
      assert.equal((await look(port, '/admin', as('session', 'staff'))).status, 403);
      assert.equal((await look(port, '/admin', [])).status, 401);
    });

    for (const method of ['bearer', 'api-key', 'mtls', 'anonymous'])
      it(`does not take ${method}, which programs have`, async () => {
        const { port } = await adminRelay({ admin });
        assert.notEqual((await look(port, '/admin', as(method, 'mcp-admins'))).status, 200);
        assert.notEqual((await look(port, '/admin/api/servers', as(method, 'mcp-admins'))).status, 200);
      });

    it('does not take forged headers', async () => {
      const proxies = ['192.0.2.9'];
      const { port } = await adminRelay({ admin, trust: { enabled: true, proxies } });
      assert.equal((await look(port, '/admin', as('session', 'mcp-admins'))).status, 401);
      const withPassword = await adminRelay({ admin: { ...OPERATOR, ...admin }, trust: { enabled: true, proxies } });
      const refused = await look(withPassword.port, '/admin', as('session', 'mcp-admins'));
      assert.equal(refused.status, 401);
      assert.match(String(refused.headers['www-authenticate']), /^Basic/);
    });

    it('does not take headers that come twice or in disguise', async () => {
      const { port } = await adminRelay({ admin });
      const twice = [...as('session', 'staff'), 'X-Authenticated-Groups', 'mcp-admins'];
      const disguised = [...as('session', 'staff'), 'X_Authenticated_Groups', 'mcp-admins'];
      for (const headers of [twice, disguised]) assert.equal((await look(port, '/admin', headers)).status, 400);
    });

    it('takes the password of others where there is one', async () => {
      const { port } = await adminRelay({ admin: { ...OPERATOR, ...admin } });
      assert.equal((await look(port, '/admin', SIGNED_IN)).status, 200);
      assert.equal((await look(port, '/admin', as('session', 'mcp-admins'))).status, 200);
      assert.equal((await look(port, '/admin', as('session', 'staff'))).status, 401);
    });
  });

  describe('where AUTH_REQUIRED is false and there is no way to sign in', () => {
    const open = { admin: { pages: true }, authRequired: false };

    it('shows them to programs of this machine', async () => {
      const { port } = await adminRelay(open);
      assert.equal((await look(port, '/admin', ['Host', `localhost:${port}`])).status, 200);
    });

    for (const [what, headers] of [
      ['through a proxy', ['Host', 'localhost', 'X-Forwarded-For', '192.0.2.1']],
      ['to a page whose name leads here all of a sudden', ['Host', 'attacker.example']],
      ['to a page of another origin', ['Host', 'localhost', 'Origin', 'http://localhost:6274']],
      [
        'to a script of another site',
        ['Host', 'localhost', 'Sec-Fetch-Site', 'cross-site', 'Sec-Fetch-Mode', 'no-cors'],
      ],
    ] as const)
      it(`not ${what}`, async () => {
        const { port } = await adminRelay(open);
        assert.equal((await look(port, '/admin', [...headers])).status, 403);
        assert.equal((await look(port, '/admin/api/activity', [...headers])).status, 403);
      });
  });

  it('is not what lets MCP clients in', async () => {
    const jwt = { enabled: true, secretKey: 'a secret of thirty-two characters' };
    const { port } = await adminRelay({ jwt, admin: { groups: ['mcp-admins'] }, trust: { enabled: false } }).catch(
      () => ({ port: 0 }),
    );
    // Groups without a proxy that says them: refused at start.
    assert.equal(port, 0);
    const both = await adminRelay({ jwt, trust: { enabled: true } });
    assert.equal((await ask(both.port, { headers: SIGNED_IN })).status, 401);
  });
});
