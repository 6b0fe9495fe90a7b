import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestAuthority } from '../../support/certificates.ts';
import { until } from '../../support/until.ts';
import { endAll, onEnd, rejection } from '../support/relay.ts';
import { openWebSocket } from '../support/web-socket.ts';
import { ConnectingPerson, startConnecting } from './support/connecting.ts';

const NOT_CONNECTED = /your account at Notes <Inc> is not connected: open http.*\/connect\/servers\/one to connect it/;
const ENDED = /your connection to Notes <Inc> has ended: open http.*\/connect\/servers\/one to connect it/;

describe('accounts that people connect', () => {
  afterEach(endAll);

  it('serve their own person, from connecting to disconnecting, and nobody else', async () => {
    const { house, origin, port, logs } = await startConnecting();
    const alice = new ConnectingPerson(origin, 'alice');
    const bob = new ConnectingPerson(origin, 'bob');
    assert.match(String(await alice.who(port)), NOT_CONNECTED);
    assert.equal(house.seen.length, 0, 'no request without a credential');

    assert.equal((await alice.connect()).status, 303);
    assert.match((await alice.page()).text, /Notes &#60;Inc&#62; is connected/);
    assert.match((await alice.page('/connect')).text, /connected as alice@notes.example since/);
    assert.equal(await alice.who(port), 'alice');
    assert.match(String(await bob.who(port)), NOT_CONNECTED);
    house.user = 'bob-at-notes';
    await bob.connect();
    assert.deepEqual([await bob.who(port), await alice.who(port)], ['bob-at-notes', 'alice']);

    assert.equal((await alice.send('disconnect')).status, 303);
    assert.match(String(await alice.who(port)), NOT_CONNECTED);
    assert.equal(await bob.who(port), 'bob-at-notes');
    for (const token of house.seen)
      assert.ok(!logs.join('').includes((token as string).slice(7)), 'no token in the log');
  });

  it('are asked for in the form that a client can show: an error of URL elicitation, or a text', async () => {
    const { origin, port } = await startConnecting();
    const alice = new ConnectingPerson(origin, 'alice');
    const plain = await alice.call(port);
    assert.deepEqual(
      [plain.status, rejection(plain).code, plain.headers['www-authenticate']],
      [200, -32000, undefined],
    );
    assert.deepEqual(JSON.parse(plain.text).error.data, { url: `${origin}/connect/servers/one` });

    const client = await openWebSocket(port);
    const capabilities = { elicitation: { url: {} } };
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'c', version: '1' } };
    const { error } = (await client.answerTo(client.request('initialize', params))) as {
      error: { code: number; data: { elicitations: Array<Record<string, string>> } };
    };
    assert.equal(error.code, -32042);
    const [elicitation] = error.data.elicitations;
    assert.deepEqual([elicitation?.mode, elicitation?.url], ['url', `${origin}/connect/servers/one`]);
    assert.match(elicitation?.elicitationId ?? '', /^[\da-f-]{36}$/);
  });

  it('are renewed where their tokens end, at a 401 too, and say when they cannot be', async () => {
    let now = Date.now();
    const { house, origin, port } = await startConnecting({ now: () => now });
    const alice = new ConnectingPerson(origin, 'alice');
    await alice.connect();
    now += 600_000;
    assert.equal(await alice.who(port), 'alice');
    assert.deepEqual(house.tokenRequests, ['authorization_code', 'refresh_token']);

    house.refusing = true;
    const answer = await alice.call(port);
    assert.match(rejection(answer).message, ENDED);
    assert.equal(answer.headers['www-authenticate'], undefined, 'the challenge of the server stays here');
    assert.equal(house.tokenRequests.length, 3, 'renewed once, tried once more');
    assert.equal(house.seen.length, 3);
    assert.notEqual(house.seen[1], house.seen[2]);

    house.refusing = false;
    assert.match(String(await alice.who(port)), ENDED);
    assert.match((await alice.page()).text, /<strong>ended<\/strong>/);
    assert.match((await alice.page()).text, /Connect again/);
    await alice.connect();
    assert.equal(await alice.who(port), 'alice');
  });

  it('are renewed beside the requests while their tokens are good: a provider that hangs costs none of them', async () => {
    let now = Date.now();
    const { house, origin, port } = await startConnecting({ now: () => now });
    const alice = new ConnectingPerson(origin, 'alice');
    await alice.connect();
    let answer = () => {};
    house.slowly = new Promise<void>((resolve) => {
      answer = resolve;
    });
    now += 595_000;
    // Only the provider's answer, which comes after them, would let these go on if they waited for it.
    for (let time = 0; time < 5; time++) assert.equal(await alice.who(port), 'alice');
    assert.equal(new Set(house.seen).size, 1);
    answer();
    await until('another token is used', async () => {
      await alice.who(port);
      return new Set(house.seen).size === 2;
    });
    assert.deepEqual(house.tokenRequests, ['authorization_code', 'refresh_token']);
  });

  it('end where the grant was revoked at the provider', async () => {
    const { house, origin, port } = await startConnecting();
    const alice = new ConnectingPerson(origin, 'alice');
    await alice.connect();
    await house.revokeAll();
    assert.match(String(await alice.who(port)), ENDED);
    assert.equal(house.tokenRequests.at(-1), 'refresh_token');
    const asked = house.tokenRequests.length;
    assert.match(String(await alice.who(port)), ENDED);
    assert.equal(house.tokenRequests.length, asked, 'what has ended is not asked for again');
  });

  it('survive a provider that is away: 503 while nothing can be said, and then they go on', async () => {
    let now = Date.now();
    const { house, origin, port } = await startConnecting({ now: () => now });
    const alice = new ConnectingPerson(origin, 'alice');
    await alice.connect();
    house.failTokens = 503;
    now += 590_000;
    assert.equal(await alice.who(port), 'alice', 'the old token still lives');
    now += 20_000;
    const answer = await alice.call(port);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '5');
    house.failTokens = undefined;
    assert.equal(await alice.who(port), 'alice');
    house.failTokens = 500;
    assert.equal((await alice.send('disconnect')).status, 303, 'ending it works without the provider');
  });

  it('are written down: who connected what, and how it ended', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-audit-'));
    onEnd(() => rm(folder, { recursive: true }));
    const path = join(folder, 'relay.jsonl');
    const { house, origin, port } = await startConnecting({
      audit: { file: { path: join(folder, '{process}.jsonl') } },
    });
    const alice = new ConnectingPerson(origin, 'alice');
    await alice.connect();
    await alice.page('/connect/servers/one/callback?code=x&state=x');
    await house.revokeAll();
    await alice.who(port);
    await alice.send('disconnect');
    const written = async () =>
      (await readFile(path, 'utf8').catch(() => ''))
        .trim()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, string>)
        .filter(({ event }) => event === 'connection');
    await until('the lines are there', async () => (await written()).length === 4);
    assert.deepEqual(
      (await written()).map(({ outcome, user, server, reason }) => [outcome, user, server, reason]),
      [
        ['connected', 'alice', 'one', undefined],
        ['refused', 'alice', 'one', 'attempt_foreign'],
        ['ended', 'alice', 'one', 'invalid_grant'],
        ['disconnected', 'alice', 'one', undefined],
      ],
    );
    const [used = ''] = house.seen.map((value) => value?.slice('Bearer '.length));
    assert.ok(used.length > 20 && !(await readFile(path, 'utf8')).includes(used), 'no token is written down');
  });

  it('find the provider in the server’s metadata and register there, over TLS at an allowed address', async function () {
    this.timeout(30_000);
    const authority = new TestAuthority();
    onEnd(() => authority.remove());
    const tls = authority.issue('notes', 'IP:127.0.0.1');
    const { origin, port, house } = await startConnecting({
      tls,
      connection: { scopes: ['openid', 'notes:read'], name: 'Notes <Inc>' },
      relay: { authorizationServers: { allowedRanges: ['127.0.0.0/8'], caPath: authority.caPath } },
    });
    const alice = new ConnectingPerson(origin, 'alice');
    await alice.connect();
    assert.equal(await alice.who(port), 'alice');
    const bob = new ConnectingPerson(origin, 'bob');
    house.user = 'bob';
    await bob.connect();
    assert.equal(await bob.who(port), 'bob');
  });

  it('are not looked for where the server’s metadata leads inside or past TLS', async () => {
    const { origin, house, logs } = await startConnecting({ connection: { scopes: ['notes:read'] } });
    const alice = new ConnectingPerson(origin, 'alice');
    for (const names of [undefined, 'https://127.0.0.1:1', 'https://169.254.169.254/latest', 'file:///etc/passwd']) {
      house.names = names;
      const { status, text } = await alice.send('connect');
      assert.ok(status >= 500, `${names}: ${status}`);
      assert.doesNotMatch(text, /http-equiv/);
    }
    assert.match(logs.join(''), /only https is|address is not public/);
  });
});
