import assert from 'node:assert/strict';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage, SdkClient } from './support/mcp-client.ts';

describe('the broker with the client of the MCP SDK', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async () => {
    gate = await openBrokerGate();
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
  });

  it('lets a client discover, register, sign a person in and use a token for one server', async () => {
    const client = new SdkClient(callback.url);
    const tokens = await client.connect(gate.resource('github'));
    assert.equal(tokens.token_type, 'Bearer');
    assert.equal(tokens.scope, 'mcp:use mcp:admin');
    assert.ok(tokens.refresh_token, 'a refresh token without offline_access');
    assert.equal(decodeProtectedHeader(tokens.access_token).typ, 'at+jwt');
    const claims = decodeJwt(tokens.access_token);
    assert.deepEqual([claims.iss, claims.aud], [gate.issuer, gate.resource('github')]);
    const allowed = await gate.check('github', tokens.access_token);
    assert.equal(allowed.status, 200);
    const header = (name: string) => allowed.headers.get(`x-authenticated-${name}`);
    assert.deepEqual(
      [header('user'), header('email'), header('groups'), header('issuer')],
      ['alice', 'alice@example.com', 'engineering', gate.provider.issuer],
    );
    const other = await gate.check('files', tokens.access_token);
    assert.equal(other.status, 401);
  });

  it('refreshes without the person, and the new token is good', async () => {
    const client = new SdkClient(callback.url);
    const first = await client.connect(gate.resource('github'));
    const second = await client.connect(gate.resource('github'));
    assert.notEqual(second.access_token, first.access_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.equal((await gate.check('github', second.access_token)).status, 200);
  });
});
