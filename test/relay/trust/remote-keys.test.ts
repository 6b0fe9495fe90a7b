import assert from 'node:assert/strict';
import { jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { RemoteKeys } from '../../../src/relay/trust/remote-keys.ts';
import { endAll } from '../support/relay.ts';
import { jwks, type KeyServer, type Keys, keyServer, makeKeys, seconds, signToken } from './presets/token-signer.ts';

describe('a key set behind an address', () => {
  const first = makeKeys('ES256');
  const second = makeKeys('ES256');
  let now: number;
  let server: KeyServer;
  let keys: RemoteKeys;
  const verify = (by: Keys) => jwtVerify(signToken(by, { sub: 'alice', exp: seconds(60) }), keys.getKey);

  beforeEach(async () => {
    now = 1_000_000;
    server = await keyServer(() => jwks(first));
    keys = new RemoteKeys(() => server.url, { now: () => now, fetch: undefined });
  });
  afterEach(endAll);

  it('is fetched once for all who ask at the same time', async () => {
    await Promise.all([verify(first), verify(first), verify(first)]);
    await verify(first);
    assert.equal(server.asked.length, 1);
  });

  it('is asked less and less often while it is away, and at once when it should be back', async () => {
    server.answer = () => undefined;
    for (let round = 0; round < 100; round += 1) {
      await assert.rejects(verify(first), DependencyUnavailable);
      now += 1_000;
    }
    assert.ok(server.asked.length <= 9, String(server.asked.length));
    server.answer = () => jwks(first);
    now += 30_000;
    await verify(first);
  });

  it('goes on serving what it had, for tokens by keys that it knows', async () => {
    await verify(first);
    server.answer = () => undefined;
    now += 3_600_000;
    await verify(first);
    await assert.rejects(verify(second), DependencyUnavailable);
    await verify(first);
  });

  it('finds a key that is new, and is not driven by invented ids', async () => {
    await verify(first);
    server.answer = () => jwks(first, second);
    await verify(second);
    const before = server.asked.length;
    for (let index = 0; index < 50; index += 1)
      await assert.rejects(verify(makeKeys('ES256')), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
    assert.ok(server.asked.length - before <= 1, String(server.asked.length));
  });

  it('takes nothing that is no key set, nor too much of it', async () => {
    for (const answer of ['[]', '{"keys":7}', 'x', `{"keys":[],"x":"${'x'.repeat(2 * 1024 * 1024)}"}`]) {
      server.answer = () => answer;
      await assert.rejects(verify(first), DependencyUnavailable);
      now += 60_000;
    }
  });

  it('says in readiness that it was never had', async () => {
    server.answer = () => undefined;
    await assert.rejects(keys.ready(), DependencyUnavailable);
  });
});
