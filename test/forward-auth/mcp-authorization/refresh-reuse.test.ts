import assert from 'node:assert/strict';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './support/mcp-client.ts';
import { RawClient } from './support/raw-client.ts';

const INTERVAL = 20_000;

describe('a refresh token that comes again', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async () => {
    gate = await openBrokerGate({
      broker: { registration: { maxPerAddress: 200 }, refreshTokenReuseInterval: `${INTERVAL}ms` },
    });
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
  });

  const good = async (client: RawClient, token: unknown) => {
    const { status, body } = await client.refresh(token);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };

  it('soon, because the answer was lost, gets the same successor and another access token', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    const lost = await good(client, token);
    const again = await good(client, token);
    assert.equal(again.refresh_token, lost.refresh_token);
    assert.equal((await gate.check('github', String(again.access_token))).status, 200);
    await good(client, again.refresh_token);
  });

  it('from many processes of one client at once gets all of them the same successor', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    const bodies = await Promise.all(Array.from({ length: 12 }, () => good(client, token)));
    const successors = new Set(bodies.map(({ refresh_token }) => refresh_token));
    assert.equal(successors.size, 1);
    const [next] = successors;
    // One of them goes on while another still brings the first.
    const { refresh_token: third } = await good(client, next);
    assert.equal((await good(client, token)).refresh_token, next);
    assert.equal((await good(client, next)).refresh_token, third);
    await good(client, third);
  });

  it('many rotations ago is refused, and leaves room for the tokens of others', async () => {
    const small = await openBrokerGate({ broker: { registration: { maxPerAddress: 200 }, maxBytes: '128KiB' } });
    try {
      const patient = await RawClient.register(small, callback.url);
      const { refresh_token: kept } = await patient.tokens();
      const busy = await RawClient.register(small, callback.url);
      const { refresh_token: first } = await busy.tokens();
      let token: unknown = first;
      for (let count = 0; count < 120; count += 1) token = (await good(busy, token)).refresh_token;
      await good(patient, kept);
      const old = await busy.refresh(first);
      assert.deepEqual([old.status, old.body.error], [400, 'invalid_grant']);
      await good(busy, token);
    } finally {
      await small.stop();
    }
  });

  it('later is theft: the grant ends, its access tokens too', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    const { refresh_token: next, access_token: access } = await good(client, token);
    gate.pass(INTERVAL + 1);
    const refused = await client.refresh(token);
    assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant']);
    assert.equal((await client.refresh(next)).body.error, 'invalid_grant');
    assert.equal((await gate.check('github', String(access))).status, 401);
  });

  it('does not move the end of its interval by coming again', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    await good(client, token);
    gate.pass(INTERVAL * 0.7);
    await good(client, token);
    gate.pass(INTERVAL * 0.7);
    assert.equal((await client.refresh(token)).body.error, 'invalid_grant');
  });

  it('is refused to another client, which costs the first one nothing', async () => {
    const client = await RawClient.register(gate, callback.url);
    const thief = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    assert.equal((await thief.refresh(token)).body.error, 'invalid_grant');
    const { refresh_token: next } = await good(client, token);
    for (const stolen of [token, next]) assert.equal((await thief.refresh(stolen)).body.error, 'invalid_grant');
    await good(client, next);
  });

  describe('after a request that was wrong', () => {
    const wrong: ReadonlyArray<readonly [what: string, parameters: () => Record<string, string>, error: string]> = [
      ['another server', () => ({ resource: gate.resource('files') }), 'invalid_target'],
      ['a server that is none', () => ({ resource: 'https://elsewhere.example/mcp' }), 'invalid_target'],
      ['no address', () => ({ resource: 'github' }), 'invalid_target'],
      ['more scopes', () => ({ scope: 'mcp:use mcp:admin' }), 'invalid_scope'],
      ['no scope of the server', () => ({ scope: 'openid' }), 'invalid_scope'],
      ['a scope that is none', () => ({ scope: '"' }), 'invalid_scope'],
      ['a secret that it has not', () => ({ client_secret: 'x' }), 'invalid_client'],
    ];
    for (const [what, parameters, error] of wrong)
      it(`is as good as before: ${what}`, async () => {
        const client = await RawClient.register(gate, callback.url);
        const { refresh_token: token } = await client.tokens({ scope: 'openid mcp:use' });
        const refused = await client.refresh(token, parameters());
        assert.equal(refused.body.error, error);
        gate.pass(INTERVAL + 1);
        const body = await good(client, token);
        assert.ok(body.id_token, 'an ID token as at first');
        await good(client, body.refresh_token);
      });

    it('may name its server in another spelling', async () => {
      const client = await RawClient.register(gate, callback.url);
      const { refresh_token: token } = await client.tokens();
      const { status } = await client.refresh(token, { resource: `${gate.resource('github')}/` });
      assert.equal(status, 200);
    });
  });
});
