import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { type BrokerGate, OPERATOR_TOKEN, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './support/mcp-client.ts';
import { RawClient } from './support/raw-client.ts';

describe('grants at the broker', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async () => {
    gate = await openBrokerGate({ broker: { registration: { maxPerAddress: 200 } } });
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
  });

  const operator = async (method: string, path: string) => {
    const response = await fetch(gate.internal + path, {
      method,
      headers: { Authorization: `Bearer ${OPERATOR_TOKEN}` },
    });
    return { status: response.status, body: (await response.json()) as Record<string, never> };
  };

  const isOver = async (client: RawClient, tokens: { access_token: string; refresh_token: string }) => {
    const refused = await client.refresh(tokens.refresh_token);
    assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant']);
    await until(
      'the access token is worth nothing',
      async () => (await gate.check('github', tokens.access_token)).status === 401,
    );
  };

  it('takes a lost group from the person at the next refresh, and gives a new one', async () => {
    const client = await RawClient.register(gate, callback.url);
    const first = await client.tokens();
    assert.equal((await gate.check('github', first.access_token)).status, 200);
    gate.provider.groups.set('alice', ['sales']);
    try {
      const second = await client.refresh(first.refresh_token);
      assert.equal(second.status, 200, JSON.stringify(second.body));
      assert.equal((await gate.check('github', String(second.body.access_token))).status, 403);
      gate.provider.groups.set('alice', ['engineering', 'sales']);
      const third = await client.refresh(second.body.refresh_token);
      const allowed = await gate.check('github', String(third.body.access_token));
      assert.equal(allowed.status, 200);
      assert.equal(allowed.headers.get('x-authenticated-groups'), 'engineering,sales');
    } finally {
      gate.provider.groups.set('alice', ['engineering']);
    }
  });

  it('ends them with the session: the person signs out', async () => {
    const client = await RawClient.register(gate, callback.url);
    const tokens = await client.tokens();
    assert.equal((await gate.check('github', tokens.access_token)).status, 200);
    const asked = await client.person.visit(`${gate.issuer}/_postern/sign-out`);
    await client.person.submit(asked);
    await isOver(client, tokens);
    assert.ok(gate.audit().some(({ audit, reason }) => audit === 'grant_ended' && reason === 'session_ended'));
  });

  it('ends them with the session: the provider signs the person out by back channel', async () => {
    const client = await RawClient.register(gate, callback.url);
    const tokens = await client.tokens({}, 'bob');
    const logout_token = await gate.provider.mint(
      {
        sub: 'bob',
        aud: 'postern',
        jti: crypto.randomUUID(),
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      },
      'logout+jwt',
    );
    const answer = await fetch(`${gate.issuer}/_postern/backchannel-logout`, {
      method: 'POST',
      body: new URLSearchParams({ logout_token }),
    });
    assert.equal(answer.status, 200, await answer.text());
    await isOver(client, tokens);
  });

  it('go over to the next session of the same person, who signs in again at whatever page, and end with that', async () => {
    const client = await RawClient.register(gate, callback.url);
    const tokens = await client.tokens();
    for (let times = 0; times < 2; times++) {
      const again = await client.person.visit(`${gate.issuer}/_postern/sign-in?switch=1&rd=/servers/github/mcp`);
      assert.notEqual(again.status, 429, again.text);
    }
    assert.equal((await gate.check('github', tokens.access_token)).status, 200);
    const { status, body } = await client.refresh(tokens.refresh_token);
    assert.equal(status, 200, JSON.stringify(body));
    await client.person.submit(await client.person.visit(`${gate.issuer}/_postern/sign-out`));
    await isOver(client, { access_token: String(body.access_token), refresh_token: String(body.refresh_token) });
  });

  it('live as long as the session that they went over to, and not as the one before', async () => {
    const old = await openBrokerGate({ auth: { sessions: { absoluteLifetime: '24h', idleTimeout: '24h' } } });
    try {
      const client = await RawClient.register(old, callback.url);
      let { refresh_token: token } = await client.tokens();
      for (const days of [1, 2, 3]) {
        old.pass(20 * 3_600_000);
        await client.person.visit(`${old.issuer}/_postern/sign-in?switch=1&rd=/servers/github/mcp`);
        const { status, body } = await client.refresh(token);
        assert.equal(status, 200, `after ${days} sign-ins: ${JSON.stringify(body)}`);
        token = String(body.refresh_token);
      }
      old.pass(25 * 3_600_000);
      assert.equal((await client.refresh(token)).body.error, 'invalid_grant');
    } finally {
      await old.stop();
    }
  });

  it('go over to the next session also while a client refreshes and the provider takes its time', async () => {
    const slow = await openBrokerGate({ provider: { slowness: 1_000 } });
    try {
      const client = await RawClient.register(slow, callback.url);
      const { refresh_token: token } = await client.tokens();
      const signingIn = client.person.visit(`${slow.issuer}/_postern/sign-in?switch=1&rd=/servers/github/mcp`);
      // The session is replaced while the provider is still asked about the one before.
      await sleep(300);
      const refreshed = await client.refresh(token);
      await signingIn;
      assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body));
      assert.equal((await client.refresh(refreshed.body.refresh_token)).status, 200);
    } finally {
      await slow.stop();
    }
  });

  it('end where another person signs in with the same browser', async () => {
    const client = await RawClient.register(gate, callback.url);
    const tokens = await client.tokens();
    const asked = await client.person.visit(`${gate.issuer}/_postern/sign-in?prompt=login&rd=/servers/github/mcp`);
    const left = await client.person.submit(asked, { user: 'bob', do: 'go' });
    // The provider ends its own session of the other person first.
    if (/<form/.test(left.text)) await client.person.submit(left);
    await isOver(client, tokens);
  });

  it('ends where the provider refuses to go on', async () => {
    const client = await RawClient.register(gate, callback.url);
    const tokens = await client.tokens();
    const { tokenRequests } = gate.provider;
    const before = tokenRequests.length;
    const refreshed = await client.refresh(tokens.refresh_token);
    assert.equal(refreshed.status, 200);
    assert.deepEqual(
      tokenRequests.slice(before).map(({ grant }) => grant),
      ['refresh_token'],
      'the provider is asked at each refresh',
    );
  });

  it('are listed and ended by the operator, and clients are removed', async () => {
    const client = await RawClient.register(gate, callback.url);
    const other = await RawClient.register(gate, callback.url);
    const [tokens, kept] = [await client.tokens(), await other.tokens()];
    const { body } = await operator('GET', `/oauth/grants?client=${client.id}`);
    const [grant] = body.grants as unknown as Array<Record<string, unknown>>;
    assert.deepEqual(
      [
        grant?.client,
        grant?.clientName,
        String(grant?.user).split('#')[1],
        grant?.provider,
        grant?.resource,
        grant?.scopes,
      ],
      [client.id, 'Raw client', 'alice', 'corp', gate.resource('github'), ['mcp:use']],
    );
    const listed = await operator('GET', '/oauth/clients');
    assert.ok(
      (listed.body.clients as unknown as Array<{ client: string }>).some((entry) => entry.client === client.id),
    );
    assert.deepEqual((await operator('DELETE', `/oauth/grants?grant=${grant?.grant}`)).body, { ended: 1 });
    await isOver(client, tokens);
    assert.equal((await gate.check('github', kept.access_token)).status, 200);
    assert.equal((await operator('DELETE', '/oauth/grants')).status, 400);
    const removed = await operator('DELETE', `/oauth/clients?client=${other.id}`);
    assert.deepEqual(removed.body, { removed: true, grants: 1 });
    const refused = await other.refresh(kept.refresh_token);
    assert.deepEqual([refused.status, refused.body.error], [401, 'invalid_client']);
    await until(
      'its access token is worth nothing',
      async () => (await gate.check('github', kept.access_token)).status === 401,
    );
    assert.equal((await operator('DELETE', `/oauth/clients?client=${other.id}`)).status, 404);
  });

  it('outlive the day on which a client registered only where it is used', async () => {
    const own = await openBrokerGate();
    try {
      const used = await RawClient.register(own, callback.url);
      const unused = await RawClient.register(own, callback.url);
      await used.tokens();
      own.pass(25 * 60 * 60_000);
      assert.equal((await unused.authorize()).status, 400);
      const page = await used.person.visit(used.authorizationUrl());
      assert.notEqual(page.status, 400);
    } finally {
      await own.stop();
    }
  });

  it('go on over a change of the configuration, and still end at once', async () => {
    const own = await openBrokerGate();
    try {
      const client = await RawClient.register(own, callback.url);
      const { access_token: old, refresh_token } = await client.tokens();
      assert.equal((await own.check('github', old)).status, 200);
      await own.reload({ rules: [{ match: { path: '/servers/**' }, allow: { groups: ['engineering', 'sales'] } }] });
      assert.equal((await own.check('github', old)).status, 200);
      const { body } = await client.refresh(refresh_token);
      assert.equal((await own.check('github', String(body.access_token))).status, 200);
      await client.person.submit(await client.person.visit(`${own.issuer}/_postern/sign-out`));
      for (const token of [old, String(body.access_token)])
        await until('it is worth nothing', async () => (await own.check('github', token)).status === 401);
    } finally {
      await own.stop();
    }
  });

  it('signs with a new key in time, and takes what the old one signed', async () => {
    const own = await openBrokerGate({ broker: { rotate: '1h', accessTokenLifetime: '3h' } });
    const keys = async () => {
      const { keys: list } = (await (await fetch(`${own.issuer}/_postern/oauth/jwks`)).json()) as {
        keys: Array<{ kid: string; d?: string }>;
      };
      assert.ok(list.every((key) => key.d === undefined));
      return list.map(({ kid }) => kid);
    };
    try {
      const client = await RawClient.register(own, callback.url);
      const { access_token: old } = await client.tokens();
      const before = await keys();
      assert.equal(before.length, 2, 'the next one is published before it signs');
      own.pass(61 * 60_000);
      await until('the keys are renewed', async () => (await keys()).length === 3);
      const { access_token: fresh } = await client.tokens();
      const kid = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
      assert.equal(kid(old), before[0]);
      assert.equal(kid(fresh), before[1]);
      assert.equal((await own.check('github', old)).status, 200);
      assert.equal((await own.check('github', fresh)).status, 200);
    } finally {
      await own.stop();
    }
  });
});
