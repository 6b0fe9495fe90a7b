import assert from 'node:assert/strict';
import { HttpPerson } from '../../support/http-person.ts';
import { authorizeAs, type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './support/mcp-client.ts';
import { onwards } from './support/onwards.ts';
import { postForm, RawClient, register } from './support/raw-client.ts';

describe('attacks on the broker', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async () => {
    gate = await openBrokerGate({
      broker: { registration: { maxPerAddress: 200, redirectHosts: ['app.example.com'] } },
    });
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
  });

  const said = (audit: string) => gate.audit().filter((line) => line.audit === audit);
  const errorAt = (url: URL) => url.searchParams.get('error');

  describe('a redirect that differs by a character', () => {
    const right = 'https://app.example.com/callback';
    for (const wrong of [
      'https://app.example.com/callback/',
      'https://app.example.com/Callback',
      'https://app.example.com/callback?x=1',
      'https://app.example.com:8443/callback',
      'https://app.example.com.evil.example/callback',
      'http://app.example.com/callback',
      'https://app.example.com/callback%2f..',
    ])
      it(`is not led to: ${wrong}`, async () => {
        const client = await RawClient.register(gate, right);
        const before = said('authorization_refused').length;
        const end = await new HttpPerson().visit(client.authorizationUrl({ redirect_uri: wrong }));
        assert.equal(end.url.origin, gate.issuer, 'nobody is sent anywhere');
        assert.equal(end.status, 400);
        assert.match(end.text, /invalid_redirect_uri/);
        const [, id] = /Request ([\w-]+)/.exec(end.text) ?? [];
        assert.ok(
          id !== undefined && said('authorization_refused').some(({ requestId }) => requestId === id),
          'the page leads to the log',
        );
        assert.equal(said('authorization_refused').length, before + 1);
      });

    it('may have another port at a loopback address, and nothing else', async () => {
      for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
        const client = await RawClient.register(gate, `http://${host}/callback`);
        const page = await new HttpPerson().visit(
          client.authorizationUrl({ redirect_uri: `http://${host}:49152/callback` }),
        );
        assert.equal(page.url.host, new URL(gate.provider.issuer).host, `${host}: led to sign in`);
        const other = await new HttpPerson().visit(
          client.authorizationUrl({ redirect_uri: `http://${host}:49152/other` }),
        );
        assert.equal(other.status, 400);
      }
    });

    it('is not taken at the token endpoint either', async () => {
      const client = await RawClient.register(gate, callback.url);
      const code = await client.code();
      const { status, body } = await client.exchange(code, { redirect_uri: `${callback.url}/` });
      assert.deepEqual([status, body.error], [400, 'invalid_grant']);
    });
  });

  describe('registration', () => {
    for (const [what, redirect] of [
      ['another host', 'https://evil.example/callback'],
      ['plain http', 'http://app.example.com/callback'],
      ['a script', 'javascript:alert(1)//app.example.com'],
      ['data', 'data:text/html,<script>'],
      ['a user name', 'https://app.example.com@evil.example/callback'],
      ['a fragment', 'https://app.example.com/callback#x'],
      ['a backslash', 'https://app.example.com\\@evil.example/'],
      ['no address', 'callback'],
    ] as const)
      it(`refuses a redirect with ${what}`, async () => {
        const before = said('registration_refused').length;
        const { status, body } = await register(gate, { redirect_uris: [redirect] });
        assert.deepEqual([status, body.error], [400, 'invalid_redirect_uri']);
        assert.equal(said('registration_refused').length, before + 1);
      });

    it('refuses a name that is no text for people, and gives no grant that people have no part in', async () => {
      for (const client_name of ['x'.repeat(101), 'Your\u202ebank', 'a\u0000b', 7]) {
        const { status, body } = await register(gate, { redirect_uris: [callback.url], client_name });
        assert.deepEqual([status, body.error], [400, 'invalid_client_metadata']);
      }
      const grant_types = ['client_credentials', 'urn:ietf:params:oauth:grant-type:jwt-bearer'];
      const { body } = await register(gate, { redirect_uris: [callback.url], grant_types });
      assert.deepEqual(body.grant_types, ['authorization_code']);
    });

    it('gives a secret to who says nothing of it, and holds the client to it', async () => {
      const { body } = await register(gate, { redirect_uris: [callback.url] });
      assert.equal(body.token_endpoint_auth_method, 'client_secret_basic');
      const client = new RawClient(gate, body.client_id as string, callback.url);
      const code = await client.code();
      assert.deepEqual((await client.exchange(code)).body.error, 'invalid_client');
      const good = await client.exchange(code, { client_secret: body.client_secret as string });
      assert.equal(good.status, 200, JSON.stringify(good.body));
    });

    it('shows a hostile name as text', async () => {
      const client = await RawClient.register(gate, callback.url, { client_name: '<b onclick=x>"Name' });
      const page = await signedIn(client);
      assert.match(page.text, /&#60;b onclick=x&#62;&#34;Name/);
    });
  });

  it('gives nothing for a code that comes again, and takes back what it gave', async () => {
    const client = await RawClient.register(gate, callback.url);
    const code = await client.code();
    const first = await client.exchange(code);
    assert.equal(first.status, 200);
    const again = await client.exchange(code);
    assert.deepEqual([again.status, again.body.error], [400, 'invalid_grant']);
    const refreshed = await client.refresh(first.body.refresh_token);
    assert.deepEqual([refreshed.status, refreshed.body.error], [400, 'invalid_grant']);
    assert.ok(said('grant_revoked').length > 0);
  });

  it('gives one of many who send the same code at once their tokens', async () => {
    const client = await RawClient.register(gate, callback.url);
    const code = await client.code();
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.exchange(code)));
    assert.ok(answers.filter(({ status }) => status === 200).length <= 1);
    assert.ok(answers.every(({ status, body }) => status === 200 || body.error === 'invalid_grant'));
  });

  it('ends the whole family where a used refresh token comes again', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { refresh_token: stolen } = await client.tokens();
    const thief = await client.refresh(stolen);
    assert.equal(thief.status, 200);
    gate.pass(31_000);
    const owner = await client.refresh(stolen);
    assert.deepEqual([owner.status, owner.body.error], [400, 'invalid_grant']);
    const later = await client.refresh(thief.body.refresh_token);
    assert.deepEqual([later.status, later.body.error], [400, 'invalid_grant']);
    assert.ok(said('token_refused').length >= 2);
  });

  it('gives a refresh token to no other client, and no code without its verifier', async () => {
    const client = await RawClient.register(gate, callback.url);
    const other = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    assert.equal((await other.refresh(token)).body.error, 'invalid_grant');
    const code = await client.code();
    assert.equal((await client.exchange(code, { code_verifier: 'x'.repeat(43) })).body.error, 'invalid_grant');
  });

  it('wants PKCE with S256', async () => {
    const client = await RawClient.register(gate, callback.url);
    const without = await client.authorize({ code_challenge: undefined, code_challenge_method: undefined });
    assert.equal(errorAt(onwards(without)), 'invalid_request');
    const plain = await client.authorize({ code_challenge: 'x'.repeat(43), code_challenge_method: 'plain' });
    assert.equal(errorAt(onwards(plain)), 'invalid_request');
  });

  describe('resource', () => {
    const bad: ReadonlyArray<readonly [string, (server: (name: string) => string) => string | string[] | undefined]> = [
      ['missing', () => undefined],
      ['doubled', (server) => [server('github'), server('files')]],
      ['the same twice', (server) => [server('github'), server('github')]],
      ['no address', () => 'github'],
      ['of nobody here', () => 'https://elsewhere.example/mcp'],
      ['with a fragment', (server) => `${server('github')}#x`],
      ['with dots', (server) => `${server('files')}/../../github/mcp`],
      ['a server that is none', (server) => server('constructor')],
    ];
    for (const [what, value] of bad)
      it(`${what}: invalid_target, and nothing is granted`, async () => {
        const client = await RawClient.register(gate, callback.url);
        const issued = said('token_issued').length;
        const end = await client.authorize({ resource: value(gate.resource) });
        assert.equal(end.url.origin, gate.issuer, 'our own page first');
        assert.equal(errorAt(onwards(end)), 'invalid_target', end.text);
        assert.equal(end.url.searchParams.get('code'), null);
        assert.equal(said('token_issued').length, issued);
      });

    it('with a trailing slash or another case of the host is the same', async () => {
      const client = await RawClient.register(gate, callback.url);
      const { access_token } = await client.tokens({ resource: `${gate.resource('github')}/` });
      assert.equal((await gate.check('github', access_token)).status, 200);
    });

    for (const [at, token] of [
      ['', '/'],
      ['/', ''],
      ['/', '/'],
    ])
      it(`is the same with "${at}" behind it at authorize, "${token}" at token, and either at refresh`, async () => {
        const client = await RawClient.register(gate, callback.url);
        const resource = gate.resource('github');
        const code = await client.code({ resource: resource + at });
        const { status, body } = await client.exchange(code, { resource: resource + token });
        assert.equal(status, 200, JSON.stringify(body));
        assert.equal((await gate.check('github', String(body.access_token))).status, 200);
        const refresh_token = String(body.refresh_token);
        const refreshed = await client.token({ grant_type: 'refresh_token', refresh_token, resource: resource + at });
        assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body));
        assert.equal((await gate.check('github', String(refreshed.body.access_token))).status, 200);
      });

    it('of the token request may be no other than that of the grant', async () => {
      const client = await RawClient.register(gate, callback.url);
      const code = await client.code();
      const { status, body } = await client.exchange(code, { resource: gate.resource('files') });
      assert.deepEqual([status, body.error], [400, 'invalid_target']);
    });
  });

  it('takes neither a token of another server, nor an ID token, nor our own assertion', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { access_token, id_token = '' } = await client.tokens({ scope: 'openid mcp:use' });
    assert.notEqual(id_token, '');
    const allowed = await gate.check('github', access_token);
    assert.equal(allowed.status, 200);
    const assertion = allowed.headers.get('x-authenticated-assertion') ?? '';
    assert.notEqual(assertion, '');
    for (const [server, token] of [
      ['files', access_token],
      ['github', id_token],
      ['github', assertion],
      ['github', `${access_token.slice(0, -4)}AAAA`],
    ] as const) {
      const refused = await gate.check(server, token);
      assert.equal(refused.status, 401);
      assert.match(refused.headers.get('www-authenticate') ?? '', /error="invalid_token"/);
    }
  });

  describe('consent', () => {
    it('forged from another site, or with the token of another person’s page, gives nothing', async () => {
      const client = await RawClient.register(gate, callback.url);
      const page = await signedIn(client);
      const stranger = await RawClient.register(gate, callback.url);
      const foreign = /name="token" value="([^"]+)"/.exec((await signedIn(stranger)).text)?.[1] ?? '';
      assert.notEqual(foreign, '');
      for (const token of ['', 'x', foreign]) {
        const before = said('consent_forged').length;
        const end = await client.person.visit(page.url, {
          form: new URLSearchParams({ decision: 'allow', token }),
          headers: { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' },
        });
        assert.equal(end.status, 403);
        assert.equal(said('consent_forged').length, before + 1);
      }
      assert.equal(said('consent_given').filter(({ client: id }) => id === client.id).length, 0);
      const end = await client.person.submit(page, { decision: 'allow' });
      assert.ok(end.url.searchParams.get('code'), 'the page itself still works');
    });

    it('is asked of the browser that began, and is not shown to another', async () => {
      const client = await RawClient.register(gate, callback.url);
      const page = await signedIn(client);
      const other = new HttpPerson();
      await authorizeAs(other, client.authorizationUrl(), { user: 'bob' });
      const end = await other.visit(page.url);
      assert.equal(end.status, 400);
      assert.doesNotMatch(end.text, /Raw client/);
    });

    it('is refused by the person: access_denied, and no code', async () => {
      const client = await RawClient.register(gate, callback.url);
      const end = await authorizeAs(client.person, client.authorizationUrl(), { decision: 'deny' });
      assert.equal(errorAt(end.url), 'access_denied');
      assert.equal(end.url.searchParams.get('code'), null);
      assert.equal(end.url.searchParams.get('state'), 'state-of-the-client');
    });

    it('cannot be framed, runs no script, and warns of programs on the person’s machine', async () => {
      const client = await RawClient.register(gate, callback.url);
      const page = await signedIn(client);
      assert.match(page.text, /Careful/);
      assert.match(page.text, new RegExp(new URL(callback.url).host));
      assert.doesNotMatch(page.text, /<script/i);
      const answer = await fetch(page.url, { headers: { Cookie: client.person.cookie(page.url.hostname) } });
      const policy = answer.headers.get('content-security-policy') ?? '';
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.equal(answer.headers.get('x-frame-options'), 'DENY');
    });

    it('is asked again of a program on the person’s machine, because nobody knows that it is the same one', async () => {
      const client = await RawClient.register(gate, callback.url);
      await client.tokens();
      const again = await client.person.visit(client.authorizationUrl());
      assert.match(again.url.pathname, /\/interaction\//);
      assert.equal(again.status, 200);
    });

    it('is remembered for a host that proves itself, but not for another person, server or more scopes', async () => {
      const client = await RawClient.register(gate, 'https://app.example.com/callback');
      const answer = async (over: Parameters<RawClient['authorizationUrl']>[0] = {}) => {
        const response = await hop(client, client.authorizationUrl(over));
        return response.startsWith('https://app.example.com/callback?code=') ? 'code' : response;
      };
      const page = await signedIn(client);
      const consented = await hop(client, page.url, new URLSearchParams(fields(page.text)));
      assert.match(consented, /^https:\/\/app\.example\.com\/callback\?code=/);
      assert.equal(await answer(), 'code');
      assert.equal(await answer({ resource: gate.resource('files') }), 'page');
      assert.equal(await answer({ scope: 'mcp:use mcp:admin' }), 'page');
      assert.equal(await answer({ prompt: 'consent' }), 'page');
    });
  });

  it('answers a storm of registrations with 429, and those of other addresses go on', async () => {
    const small = await openBrokerGate({ broker: { registration: { maxPerAddress: 3 } } });
    try {
      const from = (address: string) =>
        register(small, { redirect_uris: [callback.url] }, { 'X-Forwarded-For': address });
      for (let at = 0; at < 3; at++) assert.equal((await from('203.0.113.9')).status, 201);
      const refused = await from('203.0.113.9');
      assert.deepEqual([refused.status, refused.body.error], [429, 'too_many_requests']);
      assert.equal((await from('198.51.100.9')).status, 201);
      assert.ok(small.audit().some(({ error }) => error === 'too_many_requests'));
    } finally {
      await small.stop();
    }
  });

  it('answers a storm of authorizations of one address with 429', async () => {
    const rateLimits = [{ by: 'sign-in', limit: 3, per: '1h' }];
    const small = await openBrokerGate({ auth: { rateLimits } });
    try {
      const client = await RawClient.register(small, callback.url);
      const from = async (address: string) =>
        (await fetch(client.authorizationUrl(), { redirect: 'manual', headers: { 'X-Forwarded-For': address } }))
          .status;
      for (let at = 0; at < 3; at++) assert.equal(await from('203.0.113.9'), 303);
      assert.equal(await from('203.0.113.9'), 429);
      assert.equal(await from('198.51.100.9'), 303);
    } finally {
      await small.stop();
    }
  });

  it('registers only those with the initial access token, where there is one', async () => {
    const initialAccessToken = 'initial-access-token-of-the-tests';
    const closed = await openBrokerGate({ broker: { registration: { initialAccessToken } } });
    try {
      const metadata = { redirect_uris: [callback.url] };
      assert.equal((await register(closed, metadata)).status, 401);
      assert.equal((await register(closed, metadata, { Authorization: 'Bearer wrong' })).status, 401);
      const good = await register(closed, metadata, { Authorization: `Bearer ${initialAccessToken}` });
      assert.equal(good.status, 201);
      const statuses = (tokens: readonly string[]) =>
        Promise.all(
          tokens.map(async (token) => (await register(closed, metadata, { authorization: `bearer ${token}` })).status),
        );
      const [old, fresh] = [initialAccessToken, 'new-initial-access-token-of-the-tests'];
      await closed.reload({ broker: { enabled: true, registration: { initialAccessToken: [fresh, old] } } });
      assert.deepEqual(await statuses([old, fresh, `${fresh},${old}`, 'wrong']), [201, 201, 401, 401]);
      await closed.reload({ broker: { enabled: true, registration: { initialAccessToken: fresh } } });
      assert.deepEqual(await statuses([old, fresh]), [401, 201]);
    } finally {
      await closed.stop();
    }
  });

  it('writes no code, token or secret into the log', async () => {
    const client = await RawClient.register(gate, callback.url);
    const code = await client.code();
    const { body } = await client.exchange(code);
    for (const secret of [code, body.access_token, body.refresh_token, client.verifier])
      assert.ok(!gate.log().includes(String(secret)));
  });

  it('says nothing of others’ tokens to who registered itself with a secret', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    const { body } = await register(gate, { redirect_uris: [callback.url] });
    const { client_id, client_secret } = body as { client_id: string; client_secret: string };
    const asked = await postForm(`${gate.issuer}/_postern/oauth/introspect`, { token, client_id, client_secret });
    assert.deepEqual([asked.status, asked.body], [200, { active: false }]);
  });

  it('says nothing to who revokes or asks about what is not theirs', async () => {
    const client = await RawClient.register(gate, callback.url);
    const other = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    const at = (path: string, id: string) =>
      postForm(`${gate.issuer}/_postern/oauth/${path}`, { token, client_id: id });
    assert.deepEqual((await at('introspect', other.id)).body, { active: false });
    await at('revoke', other.id);
    assert.equal((await at('introspect', client.id)).body.active, true);
    assert.equal((await at('revoke', client.id)).status, 200);
    assert.deepEqual((await at('introspect', client.id)).body, { active: false });
    assert.equal((await client.refresh(token)).body.error, 'invalid_grant');
  });

  /** The consent page of a person who has signed in. */
  async function signedIn(client: RawClient, user = 'alice') {
    let page = await client.person.visit(client.authorizationUrl());
    if (/^\/interaction\//.test(page.url.pathname)) page = await client.person.submit(page, { user, do: 'go' });
    assert.match(page.url.pathname, /^\/_postern\/oauth\/interaction\//, page.text);
    return page;
  }

  function fields(text: string): Record<string, string> {
    return { decision: 'allow', token: /name="token" value="([^"]+)"/.exec(text)?.[1] ?? '' };
  }

  /** Follows redirects at the broker only, because the client's host is nowhere. */
  async function hop(client: RawClient, from: URL, form?: URLSearchParams): Promise<string> {
    let at = from;
    let body = form;
    for (let step = 0; step < 10; step++) {
      const end = await client.person.step(at, body === undefined ? {} : { form: body });
      body = undefined;
      if (end.location === undefined) return 'page';
      at = new URL(end.location, at);
      if (at.origin !== gate.issuer) return at.href;
    }
    throw new Error('sent around in circles');
  }
});
