import assert from 'node:assert/strict';
import { Registry } from 'prom-client';
import { rejected } from '../../../src/forward-auth/authenticators/rejection.ts';
import type { Authenticate, Authenticated } from '../../../src/forward-auth/decision/authentication.ts';
import { decide } from '../../../src/forward-auth/decision/decide.ts';
import { Resources } from '../../../src/forward-auth/decision/resources.ts';
import { RateLimits } from '../../../src/forward-auth/limits/rate-limits.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { createStoreMetrics } from '../../../src/platform/metrics.ts';
import { clientNetwork } from '../../../src/platform/networks.ts';
import { openStores } from '../../../src/stores/open-stores.ts';
import { compileRules, imagineIdentity, imagineRequest } from '../support/imagined.ts';
import { SharedStore } from '../support/shared-store.ts';

const resources = new Resources('https://mcp.example.com', ['github', 'files']);
const GITHUB = '/servers/github/mcp';

function open(rateLimits: readonly object[], store = new SharedStore()) {
  const limited: string[] = [];
  let written = '';
  const log = createLogger('auth', 'info', {
    write: (line: string) => {
      written += line;
    },
  });
  const { stores } = store.replica();
  const limits = new RateLimits(parseConfig({ auth: { rateLimits } }).auth, {
    stores,
    resources,
    log,
    onLimited: (by) => limited.push(by),
  });
  return { store, limits, limited, log: () => written };
}

const as = (subject: string, apiKey?: string): Authenticated => ({
  kind: 'identity',
  identity: imagineIdentity({ subject, issuer: 'https://idp.example.com' }),
  ...(apiKey === undefined ? {} : { apiKey }),
});

describe('rate limits', () => {
  it('of strangers hold without being written, until one of that kind is', async () => {
    const kinds = (rateLimits: readonly object[]) =>
      parseConfig({ auth: { rateLimits } }).auth.rateLimits.map(({ by, limit }) => `${by} ${limit}`);
    assert.deepEqual(kinds([]), ['sign-in 300', 'unknown-token 60']);
    assert.deepEqual(kinds([{ by: 'sign-in', limit: 5, per: '1m' }]), ['sign-in 5', 'unknown-token 60']);
    const { limits } = open([]);
    for (let i = 0; i < 300; i++) assert.equal(await limits.allowSignIn('192.0.2.1'), undefined);
    assert.equal((await limits.allowSignIn('192.0.2.1'))?.by, 'sign-in');
    assert.equal(await limits.allowSignIn('192.0.2.2'), undefined);
    assert.equal(limits.beforeAuthentication(imagineRequest('/x')), undefined);
    assert.equal(limits.afterAuthentication(imagineRequest('/x'), as('alice'), undefined), undefined);
  });

  it('answer at once where nothing matches', () => {
    const { limits } = open([
      { by: 'address', limit: 1, per: '1m', path: '/other/**' },
      { by: 'user', limit: 1, per: '1m', path: '/other/**' },
      { by: 'api-key', limit: 1, per: '1m' },
      { by: 'server', limit: 1, per: '1m' },
    ]);
    assert.equal(limits.beforeAuthentication(imagineRequest('/x')), undefined);
    assert.equal(limits.afterAuthentication(imagineRequest('/x'), as('alice'), undefined), undefined);
  });

  it('count an address, and an IPv6 subscriber as one', async () => {
    const { limits, limited } = open([{ by: 'address', limit: 1, per: '1m' }]);
    const from = (clientAddress: string) => limits.beforeAuthentication(imagineRequest('/x', { clientAddress }));
    assert.equal(await from('2001:db8::1'), undefined);
    const limit = await from('2001:db8::ffff:2');
    assert.equal(limit?.by, 'address');
    assert.equal(limit?.window, 60_000);
    assert.equal(await from('2001:db8:0:1::1'), undefined);
    assert.equal(await from('192.0.2.1'), undefined);
    assert.equal((await from('::ffff:192.0.2.1'))?.limit, 1);
    assert.deepEqual(limited, ['address', 'address']);
  });

  it('count clients without an address as one, and say so once', async () => {
    const { limits, log } = open([{ by: 'address', limit: 2, per: '1m' }]);
    const answers = [];
    for (const clientAddress of ['', 'unknown', '010.0.0.1'])
      answers.push(await limits.beforeAuthentication(imagineRequest('/x', { clientAddress })));
    assert.deepEqual(
      answers.map((answer) => answer?.by),
      [undefined, undefined, 'address'],
    );
    assert.equal(log().match(/names no client address/g)?.length, 1);
    assert.equal(clientNetwork('1'.repeat(1000)), '');
  });

  it('hold all windows, count in all, and name the longest wait', async () => {
    const { limits, store } = open([
      { by: 'user', limit: 1, per: '1s' },
      { by: 'user', limit: 2, per: '1h' },
    ]);
    const ask = () => limits.afterAuthentication(imagineRequest('/x'), as('alice'), undefined);
    assert.equal(await ask(), undefined);
    assert.equal((await ask())?.window, 1_000);
    assert.equal((await ask())?.window, 3_600_000);
    store.now += 2_000;
    assert.equal((await ask())?.window, 3_600_000);
    assert.equal(await limits.afterAuthentication(imagineRequest('/x'), as('bob'), undefined), undefined);
  });

  it('tell users of two issuers, API keys, servers and tools apart', async () => {
    const post = imagineRequest(GITHUB, { method: 'POST' });
    const one = async (by: string, ...asked: Array<() => ReturnType<RateLimits['afterAuthentication']>>) => {
      const answers = [];
      for (const ask of asked) answers.push((await ask())?.by === by);
      return answers;
    };
    const server = open([{ by: 'server', limit: 1, per: '1m' }]).limits;
    const at = (path: string) => () => server.afterAuthentication(imagineRequest(path), as('alice'), undefined);
    assert.deepEqual(
      await one(
        'server',
        at(GITHUB),
        at('/servers/files/mcp'),
        at('/servers/invented/mcp'),
        at('/servers/invented/mcp'),
      ),
      [false, false, false, false],
    );
    assert.deepEqual(await one('server', at(GITHUB)), [true]);

    const tool = open([{ by: 'tool', limit: 1, per: '1m' }]).limits;
    const call = (name: string | undefined) => () =>
      tool.afterAuthentication(post, as('alice'), {
        method: name === undefined ? 'tools/list' : 'tools/call',
        tool: name,
      });
    assert.deepEqual(await one('tool', call('a'), call('b'), call('a'), call(undefined), call(undefined)), [
      false,
      false,
      true,
      false,
      false,
    ]);
    const spelt = ['delete_repo', 'Delete_repo', 'delete\u200b_repo', '\uff44elete_repo'].map(call);
    assert.deepEqual(await one('tool', ...spelt), [false, true, true, true], 'as a careless server reads the name');
    // An old revision hides its tool: such calls share one count instead of having none.
    const hidden = () => tool.afterAuthentication(post, as('alice'), undefined);
    assert.deepEqual(await one('tool', hidden, hidden), [false, true]);

    const key = open([{ by: 'api-key', limit: 1, per: '1m' }]).limits;
    const by = (id: string) => () => key.afterAuthentication(post, as('alice', id), undefined);
    assert.deepEqual(await one('api-key', by('k1'), by('k2'), by('k1')), [false, false, true]);
  });

  it('are one for services that share a store, which learns no name', async () => {
    const store = new SharedStore();
    const config = [{ by: 'user', limit: 1, per: '1m' }];
    const [first, second] = [open(config, store).limits, open(config, store).limits];
    assert.equal(await first.afterAuthentication(imagineRequest('/x'), as('alice'), undefined), undefined);
    assert.equal((await second.afterAuthentication(imagineRequest('/x'), as('alice'), undefined))?.by, 'user');
    store.away = true;
    await assert.rejects(
      async () => second.afterAuthentication(imagineRequest('/x'), as('alice'), undefined),
      DependencyUnavailable,
    );
  });

  it('let nobody use up another’s requests: a bad credential counts for its address only', async () => {
    const { limits } = open([
      { by: 'user', limit: 2, per: '1m' },
      { by: 'address', limit: 50, per: '1m' },
    ]);
    const policy = { rules: compileRules([{ match: { path: '/x' } }]), resources, limits };
    const bad: Authenticate = () => rejected('token_signature', 'claims to be alice');
    const flood = imagineRequest('/x', { clientAddress: '198.51.100.66' });
    const kinds = [];
    for (let i = 0; i < 60; i++) kinds.push((await decide(flood, policy, bad)).kind);
    assert.equal(kinds.filter((kind) => kind === 'limit').length, 10);
    const good = await decide(imagineRequest('/x', { clientAddress: '192.0.2.9' }), policy, () => as('alice'));
    assert.equal(good.kind, 'allow');
  });

  it('hold on the real store in memory', async () => {
    const log = createLogger('auth', 'silent');
    const stores = await openStores(undefined, {
      log,
      metrics: createStoreMetrics(new Registry()),
      memory: { maxSessions: 1 },
      withoutRedis: 'local',
    });
    const { auth } = parseConfig({ auth: { rateLimits: [{ by: 'user', limit: 2, per: '1h' }] } });
    const limits = new RateLimits(auth, { stores, resources, log, onLimited: () => {} });
    const answers = [];
    for (let i = 0; i < 3; i++)
      answers.push(await limits.afterAuthentication(imagineRequest('/x'), as('alice'), undefined));
    assert.deepEqual(
      answers.map((answer) => answer?.reason),
      [undefined, undefined, 'rate_limited'],
    );
    assert.ok((answers[2]?.resetIn as number) > 0);
    await stores.close();
  });

  it('count attempts to sign in by address', async () => {
    const { limits } = open([{ by: 'sign-in', limit: 1, per: '1m' }]);
    assert.equal(await limits.allowSignIn('192.0.2.1'), undefined);
    assert.equal((await limits.allowSignIn('192.0.2.1'))?.by, 'sign-in');
    assert.equal(await limits.allowSignIn('192.0.2.2'), undefined);
    assert.equal(limits.beforeAuthentication(imagineRequest('/x')), undefined);
  });
});
