import assert from 'node:assert/strict';
import { ProviderDiscovery } from '../../../src/forward-auth/login/provider-discovery.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { createLogger } from '../../../src/platform/log.ts';

const HOUR = 3_600_000;

function discoveryOf(issuer = 'https://idp.example') {
  const config = parseConfig({ auth: { providers: [{ id: 'idp', issuer, clientId: 'postern' }] } });
  const [provider] = config.auth.providers;
  assert.ok(provider !== undefined);
  const world = { asked: 0, clock: 0, answer: (): Response => document(issuer) };
  const discovery = new ProviderDiscovery(provider, undefined, {
    log: createLogger('auth', 'silent'),
    now: () => world.clock,
    fetch: async () => {
      world.asked += 1;
      return world.answer();
    },
  });
  return { world, discovery };
}

function document(issuer: string, more: object = {}): Response {
  const body = { issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, ...more };
  return new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
}

describe('a provider’s metadata', () => {
  it('is asked for once by all who need it at the same time, and then kept', async () => {
    const { world, discovery } = discoveryOf();
    const found = await Promise.all(Array.from({ length: 10 }, () => discovery.configuration()));
    assert.equal(world.asked, 1);
    assert.equal(new Set(found).size, 1);
    await discovery.configuration();
    assert.equal(world.asked, 1);
  });

  it('is not asked for again and again while the provider is away', async () => {
    const { world, discovery } = discoveryOf();
    world.answer = () => new Response('', { status: 503 });
    for (let i = 0; i < 5; i++) await assert.rejects(discovery.configuration(), { name: 'DependencyUnavailable' });
    assert.equal(world.asked, 1);
    world.clock += 1_001;
    await assert.rejects(discovery.configuration());
    world.clock += 1_001;
    await assert.rejects(discovery.configuration());
    assert.equal(world.asked, 2, 'the wait doubles');
    world.clock += 1_000;
    world.answer = () => document('https://idp.example');
    await discovery.configuration();
  });

  it('is looked at again every hour, and kept where that fails', async () => {
    const { world, discovery } = discoveryOf();
    const first = await discovery.configuration();
    world.clock += HOUR + 1;
    world.answer = () => new Response('', { status: 500 });
    assert.equal(await discovery.configuration(), first);
    await new Promise((resolve) => setImmediate(resolve));
    world.clock += 1_001;
    world.answer = () => document('https://idp.example', { end_session_endpoint: 'https://idp.example/end' });
    assert.equal(await discovery.configuration(), first, 'nobody waits for it');
    for (let i = 0; i < 50 && (await discovery.configuration()) === first; i++)
      await new Promise((resolve) => setImmediate(resolve));
    assert.ok((await discovery.configuration()).serverMetadata().end_session_endpoint);
    assert.equal(world.asked, 3);
  });

  it('is refused where it is another issuer’s, or differs by a slash', async () => {
    for (const other of ['https://evil.example', 'https://idp.example/']) {
      const { world, discovery } = discoveryOf();
      world.answer = () => document(other);
      await assert.rejects(discovery.configuration(), { name: 'DependencyUnavailable' });
    }
  });
});
