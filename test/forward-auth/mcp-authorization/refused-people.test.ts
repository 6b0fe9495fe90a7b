import assert from 'node:assert/strict';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { RawClient } from './support/raw-client.ts';

const APP = 'https://app.example.com/callback';
const RULES = [
  { match: { path: '/servers/github/**' }, allow: { groups: ['admins'] }, scopes: { default: ['mcp:use'] } },
  { match: { path: '/servers/files/**' }, allow: { users: ['bob'] } },
  { match: { path: '/servers/routed/**', context: { team: 'blue' } }, allow: { groups: ['engineering'] } },
  { match: { path: '/servers/read/**', methods: ['GET'] }, allow: 'anyone-signed-in' },
  { match: { path: '/servers/shadowed/**' }, allow: { users: ['bob'] } },
  { match: { path: '/servers/shadowed/**' }, allow: 'anyone-signed-in' },
  { match: { path: '/servers/open/**' }, allow: 'anyone-signed-in' },
];

describe('people who may not use a server', () => {
  let gate: BrokerGate;
  before(async () => {
    gate = await openBrokerGate({
      broker: { registration: { maxPerAddress: 200 } },
      servers: ['github', 'files', 'routed', 'read', 'shadowed', 'open', 'none'],
      auth: { rules: RULES, pages: { help: 'the platform team (help@example.com)' } },
    });
  });
  after(() => gate?.stop());

  async function page(client: RawClient, server: string, user = 'alice', scope = 'mcp') {
    const asked = client.authorizationUrl({ resource: gate.resource(server), scope });
    const shown = await client.person.visit(asked);
    return /^\/interaction\//.test(shown.url.pathname) ? client.person.submit(shown, { user, do: 'go' }) : shown;
  }

  for (const server of ['github', 'files', 'read', 'shadowed', 'none'])
    it(`learn it at sign-in, before consent: ${server}`, async () => {
      const client = await RawClient.register(gate, APP);
      const shown = await page(client, server);
      assert.equal(shown.status, 403);
      assert.equal(shown.url.origin, gate.issuer);
      const text = shown.text.replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ');
      for (const words of [
        `You may not use ${server}`,
        'signed in as Alice',
        'ask the platform team (help@example.com)',
      ])
        assert.ok(text.includes(words), `${words} in: ${text}`);
      assert.doesNotMatch(shown.text, /name="decision"/);
      assert.equal(gate.audit().at(-1)?.audit, 'user_refused');
      // What their application hears.
      const back = /class="button secondary"[^>]* href="([^"]+)"/.exec(shown.text)?.[1] ?? '';
      const heard = await client.person.step(new URL(back.replaceAll('&#38;', '&'), gate.issuer));
      assert.equal(new URL(heard.location ?? '').searchParams.get('error'), 'access_denied');
    });

  for (const [server, user] of [
    ['github', 'bob'],
    ['files', 'bob'],
    ['routed', 'alice'],
    ['open', 'alice'],
  ] as const)
    it(`are asked for consent where they may: ${user} at ${server}`, async () => {
      const client = await RawClient.register(gate, APP);
      const shown = await page(client, server, user);
      assert.equal(shown.status, 200);
      assert.match(shown.text, /name="decision" value="allow"/);
    });

  it('can sign in as somebody else, who may', async () => {
    const client = await RawClient.register(gate, APP);
    const refused = await page(client, 'github');
    const another = /class="button" href="([^"]+)"/.exec(refused.text)?.[1] ?? '';
    const shown = await client.person.visit(new URL(another.replaceAll('&#38;', '&'), gate.issuer));
    const confirmed = await client.person.submit(shown, { user: 'bob', do: 'go' });
    // The provider signs the first one out by a form that a browser sends by itself.
    const consent = await client.person.submit(confirmed, {});
    assert.equal(consent.status, 200, consent.text);
    assert.match(consent.text, /name="decision" value="allow"/);
  });

  it('cannot answer a consent page that was opened before they lost the right', async () => {
    const client = await RawClient.register(gate, APP);
    const shown = await page(client, 'open');
    const token = /name="token" value="([^"]+)"/.exec(shown.text)?.[1] ?? '';
    await gate.reload({ rules: [{ match: { path: '/servers/open/**' }, allow: { users: ['bob'] } }] });
    const form = new URLSearchParams({ decision: 'allow', token });
    const answer = await client.person.step(shown.url, { form });
    assert.equal(answer.status, 403);
    assert.match(answer.text, /You may not use open/);
    await gate.reload({ rules: RULES });
  });

  for (const [what, id] of [
    ['an id that is not known', 'forgotten-client'],
    ['an id of a random form', '0a1b2c3d-0000-4000-8000-000000000000'],
    ['the id of another installation', 'V1StGXR8_Z5jdHi6B-myT'],
  ])
    it(`are told to add the server again where the application comes with ${what}`, async () => {
      const client = new RawClient(gate, id as string, APP);
      const shown = await client.person.visit(client.authorizationUrl());
      assert.equal(shown.status, 400);
      assert.match(shown.text, /Remove the server in your application and add it again/);
    });
});
