import assert from 'node:assert/strict';
import { HttpPerson } from '../support/http-person.ts';
import { CLIENT } from '../support/sign-in-provider.ts';
import { until } from '../support/until.ts';
import { type BrokerGate, OPERATOR_TOKEN, openBrokerGate } from './mcp-authorization/support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './mcp-authorization/support/mcp-client.ts';
import { RawClient } from './mcp-authorization/support/raw-client.ts';

describe('what forward-auth reports as unusual', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async () => {
    gate = await openBrokerGate({ auth: { apiKeys: { enabled: true } } });
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
  });

  const events = () =>
    gate
      .log()
      .split('\n')
      .filter((line) => line.includes('"event":"security"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const reported = async (kind: string, reason: string) => {
    const found = () => events().find((event) => event.kind === kind && event.reason === reason);
    await until(`${kind} (${reason}) is reported`, () => found() !== undefined);
    return found() as Record<string, unknown>;
  };

  it('a code that comes again, and from where', async () => {
    const client = await RawClient.register(gate, callback.url);
    const code = await client.code();
    assert.equal((await client.exchange(code)).status, 200);
    assert.deepEqual(events(), []);
    await client.exchange(code);
    const { user, address } = await reported('refresh_token_reuse', 'authorization_code');
    assert.deepEqual([user, address], [undefined, '127.0.0.1']);
  });

  it('a refresh token that comes again, and not one that is used once', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { refresh_token: stolen } = await client.tokens({}, 'bob');
    assert.equal((await client.refresh(stolen)).status, 200);
    gate.pass(31_000);
    await client.refresh(stolen);
    const { user, severity } = await reported('refresh_token_reuse', 'refresh_token');
    assert.deepEqual([user, severity], [`${gate.provider.issuer}#bob`, 'critical']);
    assert.ok(!gate.log().includes(stolen));
  });

  it('an API key after it was revoked, and not one that never was', async () => {
    const operate = (method: string, path: string, body?: object) =>
      fetch(`${gate.internal}${path}`, {
        method,
        headers: { Authorization: `Bearer ${OPERATOR_TOKEN}`, 'Content-Type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    const created = await operate('POST', '/api-keys', { subject: 'nightly', groups: ['engineering'] });
    const { id, key } = (await created.json()) as { id: string; key: string };
    assert.equal((await gate.check('github', key)).status, 403);
    assert.equal((await operate('DELETE', `/api-keys/${id}`)).status, 200);
    const invented = `pst_${id}_${'x'.repeat(43)}`;
    assert.equal((await gate.check('github', invented)).status, 401);
    assert.equal((await gate.check('github', key)).status, 401);
    const event = await reported('old_api_key', 'revoked');
    assert.deepEqual([event.user, event.address, event.count], [`${gate.issuer}/api-keys#nightly`, '203.0.113.7', 1]);
  });

  it('a session whose provider was removed, once it is used', async () => {
    const person = new HttpPerson();
    await person.signIn(`${gate.issuer}/_postern/sign-in?rd=/`, 'alice');
    const { id: clientId, secret: clientSecret } = CLIENT;
    await gate.reload({ providers: [{ id: 'other', issuer: gate.provider.issuer, clientId, clientSecret }] });
    await fetch(`${gate.issuer}/verify/traefik`, {
      headers: {
        'X-Forwarded-Method': 'GET',
        'X-Forwarded-Uri': '/servers/github/mcp',
        'X-Forwarded-Host': new URL(gate.issuer).host,
        'X-Forwarded-Proto': 'http',
        'X-Forwarded-For': '203.0.113.7',
        Cookie: person.cookie('127.0.0.1'),
      },
    });
    assert.equal((await reported('removed_provider', 'corp')).user, `${gate.provider.issuer}#alice`);
  });
});
