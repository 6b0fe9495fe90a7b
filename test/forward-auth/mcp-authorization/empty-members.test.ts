import assert from 'node:assert/strict';
import type { BrokerGate } from './support/broker-gate.ts';
import { type DocumentGate, openDocumentGate } from './support/document-gate.ts';
import type { DocumentHost } from './support/document-host.ts';
import { type CallbackPage, SdkClient } from './support/mcp-client.ts';
import { RawClient, register } from './support/raw-client.ts';

/** Members as clients write them that have nothing to say. */
const EMPTY: ReadonlyArray<readonly [title: string, members: object]> = [
  [
    'null everywhere',
    {
      client_uri: null,
      logo_uri: null,
      tos_uri: null,
      policy_uri: null,
      contacts: null,
      scope: null,
      jwks: null,
      jwks_uri: null,
      software_id: null,
      software_version: null,
      grant_types: null,
      response_types: null,
      token_endpoint_auth_method: null,
      client_name: null,
    },
  ],
  [
    'empty texts',
    {
      client_uri: '',
      logo_uri: '',
      tos_uri: '',
      policy_uri: '',
      scope: '',
      jwks_uri: '',
      software_id: '',
      client_name: '',
    },
  ],
  ['empty lists', { contacts: [], grant_types: [], response_types: [] }],
  ['lists of nothing', { contacts: [null, ''], grant_types: ['authorization_code', null] }],
  ['members that nobody knows', { x_vendor: { a: 1 }, vendor: 'y', extra: null, numbers: [1, 2] }],
];

describe('clients whose metadata has empty members', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  let host: DocumentHost;
  let opened: DocumentGate | undefined;
  before(async () => {
    opened = await openDocumentGate();
    ({ gate, callback, host } = opened);
  });
  after(() => opened?.stop());

  for (const [title, members] of EMPTY) {
    it(`register, and get tokens: ${title}`, async () => {
      const metadata = { redirect_uris: [callback.url], ...members };
      const { status, body } = await register(gate, metadata);
      assert.equal(status, 201, JSON.stringify(body));
      // Without another word a client has a secret (RFC 7591 §2); these are public ones.
      const client = await RawClient.register(gate, callback.url, { ...members, token_endpoint_auth_method: 'none' });
      assert.ok((await client.tokens()).access_token);
    });

    it(`are known by their document: ${title}`, async () => {
      const document = {
        redirect_uris: [callback.url],
        ...members,
        // A document must have one.
        client_name: 'Documented',
        token_endpoint_auth_method: 'none',
      };
      const metadataUrl = host.serve(`/${encodeURIComponent(title)}.json`, document);
      const client = new SdkClient(callback.url, { metadataUrl });
      assert.ok((await client.connect(gate.resource('github'))).access_token);
    });
  }

  it('are refused where a redirect is missing all the same, and empty ones are none', async () => {
    for (const redirect_uris of [[], null, '', [''], [null]])
      assert.equal((await register(gate, { redirect_uris })).status, 400, JSON.stringify(redirect_uris));
    const { body } = await register(gate, { redirect_uris: ['', callback.url] });
    assert.deepEqual(body.redirect_uris, [callback.url]);
  });

  for (const [title, headers, said] of [
    ['none', {}, 'without one'],
    ['a form’s', { 'Content-Type': 'application/x-www-form-urlencoded' }, 'with another'],
    ['plain text', { 'Content-Type': 'text/plain' }, 'with another'],
  ] as const)
    it(`are told which Content-Type to send where it was ${title}`, async () => {
      const response = await fetch(`${gate.issuer}/_postern/oauth/register`, {
        method: 'POST',
        headers,
        // Bytes, for which `fetch` adds no type of its own.
        body: new TextEncoder().encode(JSON.stringify({ redirect_uris: [callback.url] })),
      });
      const body = (await response.json()) as { error: string; error_description: string };
      assert.equal(response.status, 400);
      assert.equal(body.error, 'invalid_client_metadata');
      assert.match(body.error_description, new RegExp(`Content-Type: application/json; it came ${said}`));
    });

  it('are read with a charset beside the type', async () => {
    const headers = { 'Content-Type': 'Application/JSON; charset=utf-8' };
    assert.equal((await register(gate, { redirect_uris: [callback.url] }, headers)).status, 201);
  });
});
