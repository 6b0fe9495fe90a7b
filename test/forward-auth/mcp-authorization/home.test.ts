import assert from 'node:assert/strict';
import { HttpPerson } from '../../support/http-person.ts';
import { rawRequest } from '../../support/raw-request.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { RawClient } from './support/raw-client.ts';

const APP = 'https://app.example.com/callback';
const RULES = [
  { match: { path: '/servers/github/**' }, allow: { groups: ['engineering'] }, scopes: { default: ['mcp:use'] } },
  { match: { path: '/servers/files/**' }, allow: { users: ['bob'] } },
  { match: { path: '/servers/open/**' }, allow: 'anyone-signed-in' },
  { match: { path: '/secrets/**' }, allow: { groups: ['secret-admins'] } },
  { match: { path: '/particular/**' }, allow: { users: ['bob'] } },
  { match: { path: '/programs/**' }, allow: { groups: ['engineering'] }, signIn: { redirect: false } },
];
const NAVIGATION = { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };

describe('the pages of a person at forward-auth', () => {
  let gate: BrokerGate;
  let alice: HttpPerson;
  before(async () => {
    gate = await openBrokerGate({
      broker: { registration: { maxPerAddress: 200 } },
      servers: ['github', 'files', 'open'],
      auth: { rules: RULES, pages: { help: 'help@example.com', name: 'Acme <MCP>' } },
    });
    alice = new HttpPerson();
    const at = await alice.signIn(`${gate.issuer}/_postern/home`, 'alice');
    assert.equal(at.pathname, '/_postern/home');
  });
  after(() => gate?.stop());

  const home = (person = alice, language = 'en') =>
    person.visit(`${gate.issuer}/_postern/home`, { headers: { 'Accept-Language': language } });
  /** As Traefik asks. */
  const check = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const { host, port } = new URL(gate.issuer);
    const forwarded = {
      'X-Forwarded-Method': method,
      'X-Forwarded-Uri': path,
      'X-Forwarded-Host': host,
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-For': '192.0.2.1',
    };
    const sent = Object.entries({ ...forwarded, ...headers }).flat();
    const { status, headers: got, body } = await rawRequest(Number(port), '/verify/traefik', { headers: sent });
    return new Response(body, { status, headers: Object.entries(got).map(([name, value]) => [name, String(value)]) });
  };
  /** Consents for a client at an https address, which is not there. @returns its tokens */
  const grant = async (client: RawClient) => {
    const { person } = client;
    const asked = await person.visit(client.authorizationUrl({ resource: gate.resource('github') }));
    const page = await person.submit(asked, { user: 'alice', do: 'go' });
    const token = /name="token" value="([^"]+)"/.exec(page.text)?.[1] as string;
    let answer = await person.step(page.url, { form: new URLSearchParams({ token, decision: 'allow' }) });
    while (answer.location?.startsWith(APP) === false)
      answer = await person.step(new URL(answer.location, gate.issuer));
    const code = new URL(answer.location ?? '').searchParams.get('code') ?? '';
    const { body } = await client.exchange(code, { resource: gate.resource('github') });
    return body as { access_token: string; refresh_token: string };
  };
  const asAlice = () => ({ ...NAVIGATION, Cookie: alice.cookie('127.0.0.1') });
  const words = (text: string) =>
    text
      .replaceAll(/<[^>]+>/g, ' ')
      .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
      .replaceAll(/\s+/g, ' ');

  describe('home', () => {
    it('has the servers that the person may use, with a line for each client', async () => {
      const { text } = await home();
      for (const server of ['github', 'open']) {
        const address = gate.resource(server);
        for (const line of [
          `claude mcp add --transport http ${server} ${address}`,
          `code --add-mcp '{"name":"${server}","type":"http","url":"${address}"}'`,
          `{"mcpServers":{"${server}":{"url":"${address}"}}}`,
          `npx mcp-remote ${address}`,
        ])
          assert.ok(words(text).includes(line), line);
      }
      assert.ok(!words(text).includes('/servers/files/'), 'bob’s alone');
    });

    it('speaks the reader’s language, and says so', async () => {
      for (const [accepted, language, title] of [
        ['de-AT,de;q=0.9,en;q=0.5', 'de', 'Willkommen'],
        ['fr', 'fr', 'Bienvenue'],
        ['ja, fr;q=0.2, en;q=0', 'fr', 'Bienvenue'],
        ['ja', 'en', 'Welcome'],
        ['', 'en', 'Welcome'],
        ['*;q=x,;;,de;q=0', 'en', 'Welcome'],
      ] as const) {
        const { text } = await home(alice, accepted);
        assert.match(text, new RegExp(`<html lang="${language}">`), accepted);
        assert.match(text, new RegExp(`<h1>${title}</h1>`), accepted);
      }
    });

    it('has sign-out and the operator’s name on it', async () => {
      const { text } = await home();
      assert.match(text, /<a href="\/_postern\/sign-out">Sign out<\/a>/);
      assert.ok(text.includes('Acme &#60;MCP&#62;'));
    });

    it('revokes what an application was given, so that it must ask again', async () => {
      const client = await RawClient.register(gate, APP);
      const tokens = await grant(client);
      assert.equal((await gate.check('github', tokens.access_token)).status, 200);
      const page = await home(client.person);
      assert.match(page.text, /Connected applications/);
      const [form] = /<form[^>]*action="\/_postern\/home">[\s\S]*?<\/form>/.exec(page.text) ?? [''];
      const over = await client.person.submit({ ...page, text: form });
      assert.match(over.text, /No application acts in your name/);
      assert.equal((await client.refresh(tokens.refresh_token)).status, 400);
      assert.equal((await gate.check('github', tokens.access_token)).status, 401);
      // An https client's consent is remembered, and must not be now.
      const again = await client.person.visit(client.authorizationUrl({ resource: gate.resource('github') }));
      assert.match(again.text, /name="decision" value="allow"/);
    });

    it('revokes nothing of another person, and nothing for a form of another page', async () => {
      const client = await RawClient.register(gate, APP);
      const tokens = await grant(client);
      const page = await home(client.person);
      const handle = /name="revoke" value="([^"]+)"/.exec(page.text)?.[1] as string;
      const bob = new HttpPerson();
      await bob.signIn(`${gate.issuer}/_postern/home`, 'bob');
      const bobs = await home(bob);
      assert.ok(!bobs.text.includes(handle));
      const token = /name="token" value="([^"]+)"/.exec(bobs.text)?.[1] as string;
      const sent = (person: HttpPerson, fields: Record<string, string>, site = 'same-origin') =>
        person.step(new URL(`${gate.issuer}/_postern/home`), {
          form: new URLSearchParams(fields),
          headers: { 'Sec-Fetch-Site': site },
        });
      assert.equal((await sent(bob, { token, revoke: handle })).status, 303);
      assert.equal((await sent(client.person, { token, revoke: handle })).status, 403, 'bob’s token');
      assert.equal((await sent(client.person, { revoke: handle }, 'cross-site')).status, 403);
      const old = await sent(client.person, { token: 'x', revoke: handle });
      assert.equal(old.status, 403);
      assert.match(old.text, /<a class="button" href="\/_postern\/home">Try again<\/a>/);
      assert.equal((await gate.check('github', tokens.access_token)).status, 200);
    });

    it('is where the root and the address of a server lead in a browser, and for nothing else', async () => {
      for (const [path, headers, location] of [
        ['/', NAVIGATION, '/_postern/home'],
        ['/', asAlice(), '/_postern/home'],
        ['/servers/github/mcp', asAlice(), '/_postern/home#github'],
      ] as const) {
        const answer = await check(path, headers);
        assert.equal(answer.status, 302, path);
        assert.equal(answer.headers.get('location'), gate.issuer + location);
      }
      const program = await check('/');
      assert.equal(program.status, 403);
      assert.match(String(program.headers.get('content-type')), /application\/json/);
    });
  });

  describe('a refusal in a browser', () => {
    const page = async (path: string, headers: Record<string, string> = asAlice(), method = 'GET') => {
      const answer = await check(path, headers, method);
      return { answer, text: await answer.text() };
    };

    for (const [path, missing] of [
      ['/secrets/x?token=abc', 'none of the groups that may'],
      ['/particular/x', 'particular people'],
      ['/servers/files/mcp', 'particular people'],
      ['/nowhere', 'nothing at this address that is open to you'],
    ] as const)
      it(`says who the person is, what is missing and whom to ask: ${path}`, async () => {
        const { answer, text } = await page(path);
        assert.equal(answer.status, 403);
        assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8');
        assert.match(String(answer.headers.get('content-security-policy')), /frame-ancestors 'none'/);
        assert.equal(answer.headers.get('x-frame-options'), 'DENY');
        assert.equal(answer.headers.get('cache-control'), 'no-store');
        assert.equal(answer.headers.get('access-control-allow-origin'), null);
        for (const part of ['Alice (alice@example.com)', missing, 'help@example.com', 'Request '])
          assert.ok(words(text).includes(part), `${part} in: ${words(text)}`);
        for (const secret of ['secret-admins', 'bob', 'auth.rules', 'token=abc', '<script'])
          assert.ok(!words(text).includes(secret), secret);
        assert.match(text, /href="[^"]*\/_postern\/sign-in\?[^"]*prompt=login"/);
        assert.match(text, /href="[^"]*\/_postern\/sessions"/);
        assert.match(text, /href="[^"]*\/_postern\/sign-out"/);
        for (const [, href] of text.matchAll(/(?:href|src|action)="([^"]+)"/g))
          assert.ok(href?.startsWith(gate.issuer) || href === 'mailto:help@example.com', href);
      });

    it('speaks German and French', async () => {
      for (const [language, title] of [
        ['de', 'Sie dürfen diese Seite nicht öffnen'],
        ['fr', 'Vous ne pouvez pas ouvrir cette page'],
      ] as const) {
        const { answer, text } = await page('/secrets/x', { ...asAlice(), 'Accept-Language': language });
        assert.equal(answer.headers.get('content-language'), language);
        assert.ok(text.includes(`<h1>${title}</h1>`), text);
      }
    });

    it('is one too for a form that is sent, for a bad address and where there is no sign-in', async () => {
      const form = await page('/secrets/x', asAlice(), 'POST');
      assert.match(form.text, /^<!doctype html>/);
      const bad = await page('/secrets/a%2Fb');
      assert.equal(bad.answer.status, 400);
      assert.match(bad.text, /This address cannot be used/);
      const program = await page('/programs/x', NAVIGATION);
      assert.equal(program.answer.status, 401);
      assert.match(String(program.answer.headers.get('www-authenticate')), /^Bearer/);
      assert.match(program.text, /there is no sign-in for it/);
    });

    it('is one for an address that can be read in two ways, and for a check that cannot be read at all', async () => {
      for (const path of ['/a//b', '/%5c', '/a/..%2fb', '/a;b=c', '/%', '/%ff', '/a%252fb']) {
        const { answer, text } = await page(path);
        assert.equal(answer.status, 400, path);
        assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8', path);
        assert.match(text, /<h1>This address cannot be used<\/h1>/, path);
        assert.match(words(text), /can be read in more than one way/, path);
        assert.match(text, /<span class="who">Alice<\/span>[\s\S]*\/_postern\/sign-out/, path);
        const program = await check(path, { Accept: 'application/json' });
        assert.equal(((await program.json()) as { reason: string }).reason, 'ambiguous_target', path);
      }
      for (const [proxy, described] of [
        [
          'nginx',
          {
            'X-Original-Method': 'GET',
            'X-Original-URI': '/a//b',
            'X-Original-Host': 'a.example',
            'X-Original-Proto': 'http',
          },
        ],
        ['envoy/a//b', { 'X-Forwarded-Proto': 'http' }],
        [
          'caddy',
          {
            'X-Forwarded-Method': 'GET',
            'X-Forwarded-Uri': '/a//b',
            'X-Forwarded-Host': 'a',
            'X-Forwarded-Proto': 'http',
          },
        ],
      ] as const) {
        const sent = { ...asAlice(), ...described };
        const asked = await rawRequest(Number(new URL(gate.issuer).port), `/verify/${proxy}`, {
          headers: Object.entries(sent).flat(),
        });
        assert.equal(asked.headers['x-postern-status'] ?? String(asked.status), '400', proxy);
        assert.match(asked.body, /<h1>This address cannot be used<\/h1>/, proxy);
      }
      const form = await page('/a//b', asAlice(), 'POST');
      assert.match(form.text, /This address cannot be used/);
      for (const headers of [{ 'X-Forwarded-Host': 'a b' }, { 'X-Forwarded-Proto': 'gopher' }] as Record<
        string,
        string
      >[]) {
        const { answer, text } = await page('/secrets/x', { ...asAlice(), ...headers });
        assert.equal(answer.status, 400);
        assert.match(text, /<h1>This address cannot be used<\/h1>/);
      }
    });

    it('says to a stranger that nobody is signed in, and where to', async () => {
      for (const path of ['/nowhere', '/servers/none/mcp', '/nowhere/at/all?a=b']) {
        const { answer, text } = await page(path, NAVIGATION);
        assert.equal(answer.status, 403, path);
        assert.match(text, /<h1>You are not signed in<\/h1>/, path);
        assert.match(text, /href="[^"]*\/_postern\/sign-in\?rd=[^"&]*">Sign in<\/a>/, path);
        assert.doesNotMatch(text, /Sign in as another|You may not|prompt=login/, path);
      }
      const over = await page('/nowhere', { ...NAVIGATION, Cookie: '__Host-postern=over' });
      assert.match(over.text, /<h1>You are not signed in<\/h1>/);
      const known = await page('/nowhere');
      assert.match(known.text, /<h1>You may not open this page<\/h1>[\s\S]*Sign in as another/);
    });

    it('names who is signed in, and leads on, where nothing is', async () => {
      for (const path of ['/_postern/nothing', '/_postern/oauth/nothing', '/.well-known/nothing']) {
        const { status, text } = await alice.visit(gate.issuer + path);
        assert.equal(status, 404, path);
        assert.match(text, /<span class="who">Alice<\/span>[\s\S]*\/_postern\/sign-out/, path);
        assert.match(text, /href="\/_postern\/home">What you may use</, path);
        const stranger = await new HttpPerson().visit(gate.issuer + path);
        assert.doesNotMatch(stranger.text, /class="who"/, path);
      }
    });

    it('stays JSON for programs, whatever else they say', async () => {
      const cookie = { Cookie: alice.cookie('127.0.0.1') };
      for (const headers of [
        cookie,
        { ...cookie, Accept: 'application/json, text/event-stream' },
        { ...cookie, Accept: '*/*' },
        { ...asAlice(), 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
        { ...asAlice(), 'X-Requested-With': 'XMLHttpRequest' },
      ]) {
        const answer = await check('/secrets/x', headers);
        assert.equal(answer.status, 403);
        assert.equal(((await answer.json()) as { reason: string }).reason, 'not_allowed');
      }
    });
  });
});
