import assert from 'node:assert/strict';
import { decodeProtectedHeader } from 'jose';
import type { BrokerGate } from './support/broker-gate.ts';
import { type DocumentGate, openDocumentGate } from './support/document-gate.ts';
import type { DocumentHost } from './support/document-host.ts';
import type { CallbackPage } from './support/mcp-client.ts';
import { RawClient, register } from './support/raw-client.ts';

/** What a client may wish for and does not get, and what it gets (RFC 7591 §2; undefined: nothing of the kind). */
const WISHES: ReadonlyArray<readonly [wish: Record<string, unknown>, got: Record<string, unknown>]> = [
  [{ id_token_signed_response_alg: 'RS256' }, { id_token_signed_response_alg: 'ES256' }],
  [{ id_token_signed_response_alg: 'none' }, { id_token_signed_response_alg: 'ES256' }],
  [
    { id_token_encrypted_response_alg: 'RSA-OAEP', id_token_encrypted_response_enc: 'A128GCM' },
    { id_token_encrypted_response_alg: undefined },
  ],
  [{ userinfo_signed_response_alg: 'RS256' }, { userinfo_signed_response_alg: undefined }],
  [{ introspection_signed_response_alg: 'HS512' }, { introspection_signed_response_alg: undefined }],
  [{ request_object_signing_alg: 'PS512' }, { request_object_signing_alg: undefined }],
  [{ subject_type: 'pairwise' }, { subject_type: 'public' }],
  [{ response_types: ['code', 'id_token', 'code token'] }, { response_types: ['code'] }],
  [{ token_endpoint_auth_signing_alg: 'HS384' }, { token_endpoint_auth_signing_alg: undefined }],
  [{ default_acr_values: ['urn:x:gold'], require_auth_time: true }, { default_acr_values: undefined }],
];

describe('wishes of a client that cannot be met', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  let host: DocumentHost;
  let opened: DocumentGate | undefined;
  before(async () => {
    opened = await openDocumentGate();
    ({ gate, callback, host } = opened);
  });
  after(() => opened?.stop());

  const good = () => ({
    client_name: 'Wishing client',
    redirect_uris: [callback.url],
    token_endpoint_auth_method: 'none',
  });

  for (const [at, [wish, got]] of WISHES.entries()) {
    it(`are replaced where it registers: ${JSON.stringify(wish)}`, async () => {
      const { status, body } = await register(gate, { ...good(), ...wish });
      assert.equal(status, 201, JSON.stringify(body));
      for (const [name, value] of Object.entries(got)) assert.deepEqual(body[name], value, name);
    });

    it(`are replaced where its document has them: ${JSON.stringify(wish)}`, async () => {
      const client = new RawClient(gate, host.serve(`/wish-${at}.json`, { ...good(), ...wish }), callback.url);
      const tokens = (await client.tokens({ scope: 'openid mcp:use' })) as { id_token?: string };
      assert.equal(decodeProtectedHeader(tokens.id_token ?? '').alg, 'ES256');
    });
  }
});
