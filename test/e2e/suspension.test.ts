import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { main } from '../../src/cli/main.ts';
import { ask, endAll, type RelayUnderTest, relay, upstream } from '../relay/support/relay.ts';
import { type Gate, startGate } from '../support/gate-replicas.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const OPERATOR = 'operator-of-the-tests';

/** Every stream stays open until the other end closes it. */
const ENDLESS: RequestListener = (request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}\n\n');
  });
};

describe('a suspended user, with two forward-auths, a relay and the real Redis', () => {
  let redis: RedisServer;
  let gate: Gate;
  let behind: RelayUnderTest;
  let folder: string;
  const sockets: WebSocket[] = [];

  before(async function () {
    this.timeout(120_000);
    redis = await startRedis(await programOrSkip(this, 'redis'));
    gate = await startGate(2, {
      redis: { url: redis.url },
      auth: {
        sessions: { keys: randomBytes(32).toString('base64url') },
        operatorToken: OPERATOR,
        apiKeys: { enabled: true },
        rules: [
          { match: { path: '/app/**' }, allow: 'anyone-signed-in' },
          { match: { path: '/servers/one/**' }, allow: 'anyone-signed-in' },
        ],
      },
    });
    behind = await relay(
      {
        servers: { one: { url: await upstream(ENDLESS), era: 'both' } },
        trust: { assertion: { jwksUrl: `${gate.publicUrl}/_postern/jwks.json`, issuer: gate.publicUrl } },
      },
      { publicUrl: gate.publicUrl, redis: { url: redis.url } },
    );
    folder = mkdtempSync(join(tmpdir(), 'postern-suspension-'));
    const internalListen = new URL(gate.replicas[0]?.internal as string).host;
    const auth = { internalListen, operatorToken: OPERATOR, providers: [{ id: 'corp', issuer: gate.provider.issuer }] };
    writeFileSync(join(folder, 'postern.yaml'), JSON.stringify({ auth, redis: { url: redis.url } }));
  });
  after(async function () {
    this.timeout(60_000);
    for (const socket of sockets) socket.terminate();
    await endAll();
    await gate?.stop();
    await redis?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const postern = async (...words: string[]) => {
    const said: string[] = [];
    const print = (text: string) => void said.push(text);
    const code = await main([...words, '--config', join(folder, 'postern.yaml')], {
      env: {},
      print,
      printError: print,
    });
    return { code, text: said.join('\n') };
  };
  const statusAt = async (replica: number, credential: Record<string, string>, path = '/app/') =>
    (await gate.replicas[replica]?.check(credential, path))?.status;
  const allowed = async (credential: Record<string, string>, path = '/servers/one/ws'): Promise<string[]> => {
    const method = path.endsWith('/ws') ? 'GET' : 'POST';
    const answer = await gate.replicas[0]?.check({ ...credential, 'X-Forwarded-Method': method }, path);
    assert.equal(answer?.status, 200);
    const names = [...(answer as Response).headers].filter(([name]) => name.startsWith('x-authenticated-'));
    return ['Host', new URL(gate.publicUrl).host, ...names.flat()];
  };
  /** @returns told of the close code */
  const connect = async (credential: Record<string, string>, onClose: (code: number) => void): Promise<void> => {
    const lines = await allowed(credential);
    const headers = Object.fromEntries(lines.flatMap((name, at) => (at % 2 === 0 ? [[name, lines[at + 1]]] : [])));
    const socket = new WebSocket(`ws://127.0.0.1:${behind.port}/servers/one/ws`, 'mcp', { headers: headers as never });
    sockets.push(socket);
    socket.once('close', onClose);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  };
  const apiKey = async (subject: string) => {
    const made = await fetch(`${gate.replicas[0]?.internal}/api-keys`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${OPERATOR}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ subject }),
    });
    return { Authorization: `Bearer ${((await made.json()) as { key: string }).key}` };
  };

  it('is out at once everywhere, and single sign-on does not bring them back', async function () {
    this.timeout(60_000);
    const { person, cookie } = await gate.signIn('alice');
    const bob = await gate.signIn('bob');
    const key = await apiKey('alice');
    const before = await allowed(key, '/servers/one/mcp');
    assert.deepEqual([await statusAt(1, { Cookie: cookie }), await statusAt(1, key)], [200, 200]);
    let closed: number | undefined;
    let other: number | undefined;
    await connect({ Cookie: cookie }, (code) => {
      closed = code;
    });
    await connect({ Cookie: bob.cookie }, (code) => {
      other = code;
    });

    const { code, text } = await postern('suspend', '--user', 'alice', '--reason', 'laptop stolen');
    assert.equal(code, 0, text);
    assert.match(text, /suspended; 1 session ended/);
    await until('the stream has ended', () => closed !== undefined);
    assert.equal(closed, 1008);
    for (const replica of [0, 1]) {
      await until('every credential is refused', async () => (await statusAt(replica, key)) === 403);
      assert.notEqual(await statusAt(replica, { Cookie: cookie }), 200);
      assert.equal(await statusAt(replica, { Cookie: bob.cookie }), 200);
    }
    const late = await ask(behind.port, { headers: before });
    assert.equal(late.status, 403);
    assert.match(late.text, /this user is suspended/);
    assert.equal(other, undefined);

    // The provider still knows them, and asks nothing.
    const page = await person.visit(`${gate.publicUrl}/_postern/sign-in?rd=%2Fapp%2F`);
    assert.equal(page.status, 403);
    assert.match(page.text, /suspended/);
    assert.doesNotMatch(page.text, /laptop/);
    assert.match(gate.replicas[0]?.child.output ?? '', /"reason":"user_suspended".*a sign-in was refused/);

    const list = await postern('suspend', '--list');
    const [listed] = list.text.split('\n').map((line) => JSON.parse(line));
    const { user, email, reason } = listed;
    assert.deepEqual([user, reason], [`${gate.provider.issuer}#alice`, 'laptop stolen']);
    assert.match(email, /^alice@/);
    assert.equal((await postern('unsuspend', '--user', `${email}x`)).code, 1);
  });

  it('is known to a replica that starts later, and is let in again', async function () {
    this.timeout(60_000);
    const key = await apiKey('alice');
    await gate.replicas[1]?.restart();
    await until('the list is read', async () => (await statusAt(1, key)) === 403);
    const { text } = await postern('suspend', '--list');
    // Nobody of that name is signed in any more: the suspension knows it.
    assert.equal((await postern('unsuspend', '--user', JSON.parse(text).email.toUpperCase())).code, 0);
    for (const replica of [0, 1]) await until('they are let in', async () => (await statusAt(replica, key)) === 200);
    await gate.signIn('alice');
    assert.match((await postern('unsuspend', '--user', 'alice')).text, /no suspension/);
  });

  it('until a time, by e-mail address in any spelling, and for one issuer', async function () {
    this.timeout(60_000);
    const { cookie } = await gate.signIn('alice');
    const me = await fetch(`${gate.publicUrl}/_postern/me`, { headers: { Cookie: cookie } });
    const { email } = (await me.json()) as { email: string };
    assert.equal((await postern('suspend', '--user', email.toUpperCase(), '--until', '2s')).code, 0);
    await until('the session is refused', async () => (await statusAt(0, { Cookie: cookie })) !== 200);
    let again = '';
    await until('the time is over', async () => {
      again = await gate.signIn('alice').then(
        (found) => found.cookie,
        () => '',
      );
      return again !== '';
    });
    assert.equal(await statusAt(0, { Cookie: again }), 200);
    assert.equal((await postern('suspend', '--user', 'alice', '--issuer', 'https://elsewhere.example.com')).code, 0);
    assert.equal(await statusAt(0, { Cookie: again }), 200);
    assert.equal(
      (await postern('suspend', '--lift', '--user', 'alice', '--issuer', 'https://elsewhere.example.com')).code,
      0,
    );
  });

  it('has no session left once the operator API was told one of their names', async function () {
    this.timeout(60_000);
    const bob = await gate.signIn('bob');
    const operator = { Authorization: `Bearer ${OPERATOR}`, 'Content-Type': 'application/json' };
    for (const name of ['ALICE@example.com', 'alice', `${gate.provider.issuer}#alice`]) {
      const { cookie } = await gate.signIn('alice');
      const answer = await fetch(`${gate.replicas[0]?.internal}/suspensions`, {
        ...{ method: 'POST', headers: operator, body: JSON.stringify({ user: name }) },
      });
      assert.ok(((await answer.json()) as { ended: number }).ended > 0, name);
      const left = await fetch(`${gate.replicas[1]?.internal}/sessions?user=alice`, { headers: operator });
      assert.deepEqual(await left.json(), { sessions: [] }, name);
      assert.notEqual(await statusAt(1, { Cookie: cookie }), 200);
      assert.equal((await postern('suspend', '--lift', '--user', name)).code, 0);
    }
    assert.equal(await statusAt(1, { Cookie: bob.cookie }), 200);
  });

  it('bad input is named', async () => {
    for (const [words, wanted] of [
      [[], /Give --user/],
      [['--user', 'alice', '--until', 'tomorrow'], /until must be a time/],
      [['--user', 'alice', '--until', '2020-01-01'], /in the future/],
      [['--user', 'alice', '--provider', 'none'], /no provider "none".*corp/],
      [['--list', '--user', 'alice'], /without --user/],
    ] as const) {
      const { code, text } = await postern('suspend', ...words);
      assert.notEqual(code, 0);
      assert.match(text, wanted);
    }
  });
});
