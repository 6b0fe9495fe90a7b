import assert from 'node:assert/strict';
import { ApiKeys } from '../../../src/forward-auth/api-keys/api-keys.ts';
import { hashSecret, parseApiKey } from '../../../src/forward-auth/api-keys/key-format.ts';
import { RevokedKeys } from '../../../src/forward-auth/api-keys/revoked-keys.ts';
import { ApiKeyAuthenticator } from '../../../src/forward-auth/authenticators/api-key.ts';
import { Resources } from '../../../src/forward-auth/decision/resources.ts';
import { credentialHandle } from '../../../src/identity/credential.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { MemoryDocuments } from '../../../src/stores/memory/documents.ts';
import { until } from '../../support/until.ts';
import { imagineRequest } from '../support/imagined.ts';
import { SharedStore } from '../support/shared-store.ts';

const resources = new Resources('https://mcp.example.com', ['github', 'files']);
const GITHUB = '/servers/github/mcp';

function open(store = new SharedStore()) {
  const replica = store.replica();
  const clock = { now: 1_000_000 };
  const refused: string[] = [];
  const ended: string[] = [];
  const keys = new ApiKeys({
    stores: replica.stores,
    ended: { end: async (handle) => void ended.push(handle) },
    log: createLogger('auth', 'silent'),
    now: () => clock.now,
    cacheTtl: 30_000,
    issuer: 'https://mcp.example.com/api-keys',
    servers: ['github', 'files'],
  });
  const authenticator = new ApiKeyAuthenticator(parseConfig({ auth: { apiKeys: { enabled: true } } }).auth, {
    keys,
    onRefused: ({ id }) => void refused.push(id),
  });
  const ask = async (headers: readonly string[], path = GITHUB) =>
    authenticator.authenticate(imagineRequest(path, { headers }), resources.of(imagineRequest(path)));
  return { store, replica, clock, keys, refused, ended, ask };
}

describe('API keys', () => {
  it('are good in both headers, with the identity they were made for', async () => {
    const { keys, ask } = open();
    const { key, listing } = await keys.create({
      subject: 'ci',
      name: 'CI',
      groups: ['engineering'],
      scopes: ['mcp:use'],
    });
    assert.match(key, /^pst_[0-9A-Za-z]{10}_[\w-]{43}$/);
    for (const headers of [
      ['Authorization', `Bearer ${key}`],
      ['authorization', `bearer ${key}`],
      ['X-API-Key', key],
    ]) {
      const answer = await ask(headers);
      assert.deepEqual(answer, {
        kind: 'identity',
        apiKey: listing.id,
        credential: { handle: credentialHandle('api-key', listing.id) },
        identity: {
          subject: 'ci',
          email: '',
          name: 'CI',
          groups: ['engineering'],
          scopes: ['mcp:use'],
          method: 'api-key',
          issuer: 'https://mcp.example.com/api-keys',
        },
      });
    }
  });

  it('leave other credentials to others, and are refused when they come twice', async () => {
    const { ask } = open();
    for (const headers of [[], ['Authorization', 'Bearer eyJ.x.y'], ['Authorization', 'Basic cHN0Xw==']])
      assert.deepEqual(await ask(headers), { kind: 'absent' });
    for (const name of ['X-API-Key', 'Authorization']) {
      const answer = await ask([name, 'a', name, 'b']);
      assert.equal(answer.kind === 'rejected' && answer.reason, 'credential_duplicated');
    }
  });

  it('give one answer, whatever is wrong', async () => {
    const { keys, ask, clock } = open();
    const { key } = await keys.create({ subject: 'ci' });
    const short = (await keys.create({ subject: 'ci', expiresAt: clock.now + 1_000 })).key;
    assert.equal((await ask(['X-API-Key', short])).kind, 'identity');
    clock.now += 1_000;
    const { id, secret } = parseApiKey(key) as { id: string; secret: string };
    const other = secret.startsWith('A') ? 'B' : 'A';
    const bad = [short, `pst_${id}_${other}${secret.slice(1)}`, `pst_aaaaaaaaaa_${secret}`, `${key}x`, '', 'pst_'];
    const answers = await Promise.all(bad.map((text) => ask(['X-API-Key', text])));
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.equal(answers[0]?.kind === 'rejected' && answers[0].reason, 'api_key');
    assert.equal((await ask(['X-API-Key', key])).kind, 'identity');
  });

  it('are kept and listed without what opens anything', async () => {
    const { keys, store } = open();
    const { key } = await keys.create({ subject: 'ci' });
    const secret = parseApiKey(key)?.secret as string;
    const stored = [...store.documents.values()].join();
    const listed = JSON.stringify(await keys.list());
    assert.ok(!stored.includes(secret) && !listed.includes(secret));
    assert.ok(stored.includes('secretHash') && !listed.includes('ecretHash'));
    assert.ok(listed.includes(key.slice(0, 14)));
  });

  it('hold at the servers they name only, also from the cache', async () => {
    const { keys, ask } = open();
    const { key } = await keys.create({ subject: 'ci', servers: ['github'] });
    assert.equal((await ask(['X-API-Key', key])).kind, 'identity');
    for (const path of ['/servers/files/mcp', '/servers/github-x/mcp', '/', '/x/servers/github/mcp'])
      assert.equal((await ask(['X-API-Key', key], path)).kind, 'rejected', path);
    assert.equal((await ask(['X-API-Key', key])).kind, 'identity');
  });

  it('are remembered, and forgotten by every replica when revoked', async () => {
    const store = new SharedStore();
    const [one, two] = [open(store), open(store)];
    const { key, listing } = await one.keys.create({ subject: 'ci' });
    for (let i = 0; i < 3; i++) assert.equal((await two.ask(['X-API-Key', key])).kind, 'identity');
    assert.equal(store.reads, 1);
    two.clock.now += 30_000;
    await two.ask(['X-API-Key', key]);
    assert.equal(store.reads, 2);
    assert.equal(await one.keys.revoke(listing.id), true);
    assert.deepEqual(one.ended, [credentialHandle('api-key', listing.id)]);
    assert.equal((await two.ask(['X-API-Key', key])).kind, 'rejected');
    assert.equal(await one.keys.revoke(listing.id), false);
  });

  it('are not believed where a revocation may have been missed', async () => {
    const store = new SharedStore();
    const [one, two] = [open(store), open(store)];
    const { key, listing } = await one.keys.create({ subject: 'ci' });
    await two.ask(['X-API-Key', key]);
    two.replica.complete = false;
    await one.keys.revoke(listing.id);
    assert.equal((await two.ask(['X-API-Key', key])).kind, 'rejected');
    const again = (await one.keys.create({ subject: 'ci' })).key;
    await two.ask(['X-API-Key', again]);
    store.away = true;
    await assert.rejects(two.ask(['X-API-Key', again]), DependencyUnavailable);
    store.away = false;
    two.replica.complete = true;
    two.replica.gap();
    const { reads } = store;
    await two.ask(['X-API-Key', again]);
    assert.equal(store.reads, reads + 1);
  });

  it('are not remembered from before a revocation that was heard meanwhile', async () => {
    const { keys, ask, store } = open();
    const { key, listing } = await keys.create({ subject: 'ci' });
    let answer = () => {};
    store.slowly = new Promise((resolve) => {
      answer = resolve;
    });
    const early = ask(['X-API-Key', key]);
    assert.equal(await keys.revoke(listing.id), true);
    answer();
    await early;
    assert.equal((await ask(['X-API-Key', key])).kind, 'rejected');
  });

  it('are refused where the record is damaged or another’s', async () => {
    const { keys, ask, store } = open();
    const { key } = await keys.create({ subject: 'ci' });
    const [name, value] = [...store.documents][0] as [string, string];
    for (const damaged of ['{', '{}', value.replace(/"id":"./, '"id":"-')]) {
      store.documents.set(name, damaged);
      assert.equal((await ask(['X-API-Key', key])).kind, 'rejected');
    }
    assert.deepEqual(await keys.list(), []);
  });

  it('are recognised after their end by whoever looks, with the right secret only', async () => {
    const { keys, clock } = open();
    const parts = (key: string) => parseApiKey(key) ?? assert.fail(key);
    const revoked = await keys.create({ subject: 'ci' });
    const short = await keys.create({ subject: 'nightly', expiresAt: clock.now + 1_000 });
    assert.equal(await keys.ended(parts(revoked.key)), undefined);
    assert.equal(await keys.ended(parts(short.key)), undefined);
    await keys.revoke(revoked.listing.id);
    clock.now += 1_000;
    await until('it is noted', async () => (await keys.ended(parts(revoked.key))) !== undefined);
    assert.deepEqual(await keys.ended(parts(revoked.key)), { subject: 'ci', why: 'revoked' });
    assert.deepEqual(await keys.ended(parts(short.key)), { subject: 'nightly', why: 'expired' });
    const guessed = { ...parts(revoked.key), secret: parts(short.key).secret };
    assert.equal(await keys.ended(guessed), undefined);
    assert.equal(await keys.ended({ id: 'neverexist', secret: guessed.secret }), undefined);
  });

  it('are forgotten some months after their end, and a damaged note is none', async () => {
    const clock = { now: 1_000_000 };
    const documents = new MemoryDocuments(() => clock.now);
    const ended = new RevokedKeys(documents, () => clock.now);
    const parts = { id: 'abcdefghij', secret: 'x'.repeat(43) };
    const secretHash = hashSecret(parts.secret).toString('base64url');
    const record = { id: parts.id, subject: 'ci', name: '', groups: [], scopes: [], createdAt: 1, secretHash };
    await ended.revoked(record);
    clock.now += 89 * 86_400_000;
    assert.deepEqual(await ended.find(parts), { subject: 'ci', why: 'revoked' });
    clock.now += 2 * 86_400_000;
    assert.equal(await ended.find(parts), undefined);
    for (const damaged of ['{', '{}', 'null']) {
      await documents.put('ended-api-keys', parts.id, damaged);
      assert.equal(await ended.find(parts), undefined);
    }
  });

  it('are told of where they are refused, and not where they are good', async () => {
    const { keys, refused, ask } = open();
    const { key, listing } = await keys.create({ subject: 'ci' });
    await ask(['X-API-Key', key]);
    assert.deepEqual(refused, []);
    await keys.revoke(listing.id);
    await ask(['X-API-Key', key]);
    assert.deepEqual(refused, [listing.id]);
  });
});
