import assert from 'node:assert/strict';
import { CLIENT_SECRET, startUpstreamHouse, type UpstreamHouse } from '../connect/support/upstream-provider.ts';
import { ask, endAll, rejection, relay } from '../support/relay.ts';
import { openWebSocket } from '../support/web-socket.ts';

async function start(
  kind: 'clientCredentials' | 'tokenExchange',
  more: object = {},
  deps: { now?: () => number } = {},
) {
  const house = await startUpstreamHouse('https://mcp.example.com/unused');
  const client = {
    issuer: house.issuer,
    clientId: 'relay',
    clientSecret: { value: CLIENT_SECRET },
    scopes: ['notes:read'],
    ...more,
  };
  const running = await relay({ servers: { one: { url: house.url, credential: { [kind]: client } } } }, deps);
  house.relayKeys = `http://127.0.0.1:${running.port}/.well-known/jwks.json`;
  return { house, ...running };
}

const as = (user: string, ...more: string[]) => ({ headers: ['X-Authenticated-User', user, ...more] });
const who = async (port: number, user: string, ...more: string[]) => {
  const answer = await ask(port, as(user, ...more));
  return answer.status === 200 ? JSON.parse(answer.text).result.who : answer.status;
};
const count = (house: UpstreamHouse) => house.tokenRequests.length;

describe('tokens of an authorization server', () => {
  afterEach(endAll);

  it('of client credentials are asked for once, for many people at once, and never a client’s own', async () => {
    const { house, port, logs } = await start('clientCredentials');
    const users = Array.from({ length: 20 }, (_, index) => `user-${index}`);
    const answers = await Promise.all(users.map((user) => who(port, user, 'Authorization', 'Bearer of-the-client')));
    assert.deepEqual(new Set(answers), new Set(['the relay']));
    assert.equal(count(house), 1);
    assert.ok(house.seen.every((value) => value?.startsWith('Bearer ') === true && !value.includes('of-the-client')));
    const client = await openWebSocket(port, 'alice');
    const answer = await client.answerTo(client.request('ping'));
    assert.equal((answer.result as { who: string }).who, 'the relay');
    assert.equal(count(house), 1);
    const token = (house.seen[0] as string).slice('Bearer '.length);
    assert.ok(![token, CLIENT_SECRET].some((secret) => logs.join('').includes(secret)), 'not in the log');
  });

  it('of token exchange are each person’s own', async () => {
    const { house, port } = await start('tokenExchange');
    assert.deepEqual(await Promise.all(['alice', 'bob', 'alice'].map((user) => who(port, user))), [
      'alice',
      'bob',
      'alice',
    ]);
    assert.equal(await who(port, 'bob'), 'bob');
    assert.equal(count(house), 2);
    assert.equal(house.tokenRequests[0], 'urn:ietf:params:oauth:grant-type:token-exchange');
  });

  it('of token exchange depend on the groups, which the authorization server may look at', async () => {
    const { house, port } = await start('tokenExchange');
    await who(port, 'alice', 'X-Authenticated-Groups', 'a');
    await who(port, 'alice', 'X-Authenticated-Groups', 'a');
    assert.equal(count(house), 1);
    await who(port, 'alice', 'X-Authenticated-Groups', 'b');
    assert.equal(count(house), 2);
  });

  for (const [what, header, values] of [
    ['how somebody signed in', 'X-Authenticated-Method', ['session', 'api-key', 'mtls']],
    ['the name', 'X-Authenticated-Name', ['Alice', 'Alice B']],
    ['the address', 'X-Authenticated-Email', ['a@example.com', 'b@example.com']],
    ['the scopes', 'X-Authenticated-Scopes', ['read', 'read write']],
    ['the issuer', 'X-Authenticated-Issuer', ['https://a.example', 'https://b.example']],
  ] as const)
    it(`of token exchange depend on ${what}, which the statement about the person holds`, async () => {
      const { house, port } = await start('tokenExchange');
      for (const value of [...values, ...values]) assert.equal(await who(port, 'alice', header, value), 'alice');
      assert.equal(count(house), values.length);
    });

  it('are renewed before they end, beside the request, and once', async () => {
    let now = Date.now();
    const { house, port } = await start('clientCredentials', {}, { now: () => now });
    await who(port, 'alice');
    now += 550_000;
    await Promise.all(Array.from({ length: 10 }, () => who(port, 'alice')));
    while (count(house) < 2) await who(port, 'alice');
    assert.equal(count(house), 2);
    assert.equal(house.seen[0], house.seen[1], 'the old one served meanwhile');
    await who(port, 'alice');
    assert.notEqual(house.seen.at(-1), house.seen[0]);
  });

  it('that the server refuses are asked for once more, and then it is said', async () => {
    const { house, port } = await start('clientCredentials');
    await who(port, 'alice');
    house.refusing = true;
    const answer = await ask(port, as('alice'));
    assert.equal(answer.status, 502);
    assert.equal(answer.headers['www-authenticate'], undefined);
    assert.match(rejection(answer).message, /refused the relay's credentials/);
    assert.deepEqual([count(house), house.seen.length], [2, 3]);
    assert.notEqual(house.seen[1], house.seen[2]);
  });

  it('that cannot be had are a 503 and no request without them; a failure answers for a while', async () => {
    let now = Date.now();
    const { house, port, logs } = await start('clientCredentials', {}, { now: () => now });
    house.failTokens = 503;
    for (let i = 0; i < 3; i++) {
      const answer = await ask(port, as('alice'));
      assert.equal(answer.status, 503);
      assert.equal(answer.headers['retry-after'], '5');
      assert.match(rejection(answer).message, /authorization server at 127.0.0.1:\d+ does not answer/);
    }
    assert.equal(house.seen.length, 0);
    const client = await openWebSocket(port, 'alice');
    const { error } = await client.answerTo(client.request('ping'));
    assert.match((error as { message: string }).message, /does not answer/);
    assert.equal(
      logs.filter((line) => /"message":"the MCP server was not asked"/.test(line) && /"reason"/.test(line)).length,
      4,
    );
    house.failTokens = undefined;
    assert.equal(await who(port, 'alice'), 503, 'remembered');
    now += 5_001;
    assert.equal(await who(port, 'alice'), 'the relay');
  });

  it('that the authorization server denies are an error with its code, and others go on', async () => {
    const { house, port, logs } = await start('tokenExchange');
    const answer = await ask(port, as('mallory'));
    assert.equal(answer.status, 502);
    assert.match(rejection(answer).message, /no token for this MCP server \(access_denied\)/);
    assert.match(logs.join(''), /refused the token exchange of relay.servers.one.credential/);
    assert.match(
      logs.join(''),
      /"detail":"mallory has no account here","user":"mallory","message":"no token for an MCP server"/,
    );
    assert.equal(await who(port, 'alice'), 'alice');
    assert.equal(house.seen.length, 1);
  });

  it('of a wrong client secret name the mistake, without the secret', async () => {
    const { port, logs } = await start('clientCredentials', { clientSecret: { value: 'another-very-wrong-secret' } });
    const answer = await ask(port, as('alice'));
    assert.equal(answer.status, 502);
    assert.match(rejection(answer).message, /invalid_client/);
    assert.doesNotMatch(logs.join('') + answer.text, /another-very-wrong-secret/);
  });

  it('of token exchange are for people only', async () => {
    const house = await startUpstreamHouse('https://mcp.example.com/unused');
    const credential = { tokenExchange: { issuer: house.issuer, clientId: 'relay' } };
    const { port } = await relay({ authRequired: false, servers: { one: { url: house.url, credential } } });
    const answer = await ask(port);
    assert.equal(answer.status, 403);
    assert.match(rejection(answer).message, /knows people only/);
    assert.equal(house.seen.length, 0);
  });
});
