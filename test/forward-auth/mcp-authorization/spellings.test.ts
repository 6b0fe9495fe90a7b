import assert from 'node:assert/strict';
import { rawRequest } from '../../support/raw-request.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { endpointSpellings } from './support/endpoint-spellings.ts';

const LIMIT = 3;
const METADATA = JSON.stringify({ redirect_uris: ['http://127.0.0.1/callback'], client_name: 'Spelled' });

describe('an endpoint of the broker in another spelling', () => {
  let gate: BrokerGate;
  let port: number;
  before(async () => {
    gate = await openBrokerGate({
      broker: { registration: { maxPerAddress: LIMIT } },
      auth: { rateLimits: [{ by: 'sign-in', limit: 1, per: '1h' }] },
    });
    port = Number(new URL(gate.issuer).port);
  });
  after(() => gate?.stop());

  const send = (method: string, path: string, address: string, body?: string) =>
    rawRequest(port, path, {
      method,
      headers: ['X-Forwarded-For', address, ...(body === undefined ? [] : ['Content-Type', 'application/json'])],
      ...(body === undefined ? {} : { body }),
    });

  it('registers nobody past the limit of an address', async () => {
    for (let at = 0; at < LIMIT; at++)
      assert.equal((await send('POST', '/_postern/oauth/register', '203.0.113.1', METADATA)).status, 201);
    for (const path of endpointSpellings('/_postern/oauth/register', gate.issuer)) {
      const { status } = await send('POST', path, '203.0.113.1', METADATA);
      assert.ok(status === 404 || status === 429, `${path}: ${status}`);
    }
    for (const path of endpointSpellings('/register', gate.issuer)) {
      const { status } = await send('POST', path, '203.0.113.1', METADATA);
      assert.ok(status === 404 || status === 429, `${path}: ${status}`);
    }
  });

  it('begins no authorization past the limit, the completion of scopes and the removal of cookies', async () => {
    const begun = await send('GET', '/_postern/oauth/authorize', '203.0.113.2');
    assert.equal(begun.status, 400);
    for (const base of ['/_postern/oauth/authorize', '/authorize'])
      for (const path of endpointSpellings(base, gate.issuer)) {
        const { status, headers } = await send('GET', `${path}?client_id=nobody`, '203.0.113.2');
        assert.ok(status === 404 || status === 429, `${path}: ${status}`);
        assert.equal(headers['set-cookie'], undefined, path);
      }
  });

  it('gives no token, reads no client and tells no keys', async () => {
    for (const name of ['token', 'introspect', 'revoke', 'jwks'])
      for (const path of endpointSpellings(`/_postern/oauth/${name}`, gate.issuer)) {
        // The exact path in absolute form (RFC 9112 §3.2.2) is the endpoint itself.
        if (path === `${gate.issuer}/_postern/oauth/${name}`) continue;
        assert.equal((await send(name === 'jwks' ? 'GET' : 'POST', path, '203.0.113.3')).status, 404, path);
      }
    for (const path of ['/_postern/oauth/register/%6eobody', '/_postern/oauth/register/a.b', '/_postern/oauth/'])
      assert.equal((await send('GET', path, '203.0.113.3')).status, 404, path);
    const { status } = await send('GET', '/_postern/oauth/register/nobody', '203.0.113.3');
    assert.equal(status, 401, 'the exact one asks for its token');
  });
});
