import assert from 'node:assert/strict';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { RawClient } from './support/raw-client.ts';

const APP = 'https://app.example.com/callback';

describe('what a person is asked to consent to', () => {
  let gate: BrokerGate;
  before(async () => {
    gate = await openBrokerGate({
      broker: { registration: { maxPerAddress: 200 } },
      auth: {
        rules: [
          {
            match: { path: '/servers/github/**' },
            allow: { groups: ['engineering'] },
            scopes: {
              default: ['mcp:use'],
              tools: { 'delete_*': ['mcp:admin'], '*': ['all:tools'] },
              resources: { 'file:///*': ['files:read'] },
            },
          },
          {
            match: { path: '/servers/files/**' },
            allow: { groups: ['engineering'] },
            scopes: { default: ['files:use'] },
          },
        ],
      },
    });
  });
  after(() => gate?.stop());

  async function page(client: RawClient, over: Parameters<RawClient['authorizationUrl']>[0] = {}) {
    let shown = await client.person.visit(client.authorizationUrl(over));
    if (/^\/interaction\//.test(shown.url.pathname))
      shown = await client.person.submit(shown, { user: 'alice', do: 'go' });
    return shown;
  }
  const words = (text: string) => text.replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ');

  it('is said in words, with the server’s name and all that the token says of the person', async () => {
    const client = await RawClient.register(gate, APP);
    const text = words((await page(client, { scope: 'mcp:use mcp:admin all:tools files:read' })).text);
    for (const line of [
      'Raw client asks to use github in your name',
      'Use github as you (mcp:use)',
      'Call its tools named delete_* (mcp:admin)',
      'Call all of its tools (all:tools)',
      'Read its resources at file:///* (files:read)',
      'Your name: Alice',
      'Your e-mail address: alice@example.com',
      'Your groups: engineering',
      'Your user id: alice',
      'Returns to app.example.com',
    ])
      assert.ok(text.includes(line), `${line} in: ${text}`);
  });

  it('is told in the name of the permission that every server has', async () => {
    const client = await RawClient.register(gate, APP);
    const text = words((await page(client, { scope: 'mcp', resource: gate.resource('files') })).text);
    assert.ok(text.includes('Use files as you (mcp)'), text);
  });

  it('is never nothing', async () => {
    const client = await RawClient.register(gate, APP);
    for (const scope of ['files:use', 'files:use openid', 'files:use profile email offline_access']) {
      const shown = await page(client, { scope });
      assert.equal(shown.status, 400, scope);
      assert.equal(shown.url.origin, gate.issuer);
      assert.match(shown.text, /invalid_scope/);
    }
    assert.equal(gate.audit().filter(({ audit }) => audit === 'consent_given').length, 0);
  });

  it('is asked again where OpenID scopes come later, and not where they were there', async () => {
    const client = await RawClient.register(gate, APP);
    const first = await page(client, { scope: 'mcp:use' });
    const token = /name="token" value="([^"]+)"/.exec(first.text)?.[1] ?? '';
    await client.person.step(first.url, { form: new URLSearchParams({ decision: 'allow', token }) });
    for (const scope of ['mcp:use openid', 'mcp:use openid email', 'mcp:use profile']) {
      const again = await page(client, { scope });
      assert.equal(again.status, 200, scope);
      assert.match(again.text, /Give access to /, scope);
    }
    const begun = await client.person.step(client.authorizationUrl({ scope: 'mcp:use' }));
    const gone = await client.person.step(new URL(begun.location ?? '', gate.issuer));
    assert.match(gone.location ?? '', /\/authorize\//, 'no page for what was consented to');
  });

  it('has answers that look different', async () => {
    const client = await RawClient.register(gate, APP);
    const { text } = await page(client);
    assert.match(text, /<button name="decision" value="allow"><span aria-hidden="true">✓<\/span>Allow/);
    assert.match(text, /<button class="deny" name="decision" value="deny"><span aria-hidden="true">✕<\/span>Deny/);
  });
});
