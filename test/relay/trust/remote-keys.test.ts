import assert from 'node:assert/strict';
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { RemoteKeys } from '../../../src/relay/trust/remote-keys.ts';
import { endAll } from '../support/relay.ts';
import { jwks, type KeyServer, type Keys, keyServer, makeKeys, seconds, signToken } from './presets/token-signer.ts';

/** A public key as JWK: `rsa` of so many bits, or on a curve. */
function publicJwk(kind: 'rsa' | 'x25519' | 'secp256k1', modulusLength = 0): JsonWebKey {
  if (kind === 'rsa') return generateKeyPairSync(kind, { modulusLength }).publicKey.export({ format: 'jwk' });
  if (kind === 'x25519') return generateKeyPairSync(kind).publicKey.export({ format: 'jwk' });
  return generateKeyPairSync('ec', { namedCurve: kind }).publicKey.export({ format: 'jwk' });
}

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

  it('finds a new key within the pause that invented ids caused, and the pause does not grow', async () => {
    now = Date.now();
    await verify(first);
    for (let index = 0; index < 10; index += 1) {
      await assert.rejects(verify(makeKeys('ES256')), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
      now += 2_000;
    }
    await assert.rejects(verify(makeKeys('ES256')), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
    server.answer = () => jwks(first, second);
    const before = server.asked.length;
    const young = () =>
      jwtVerify(signToken(second, { sub: 'alice', iat: now / 1000 + 1, exp: seconds(60) }), keys.getKey);
    await Promise.all([young(), young(), young()]);
    assert.equal(server.asked.length, before + 1);
  });

  it('finds a key that began in the second in which they were fetched, or by a clock that is behind', async () => {
    for (const behind of [0, 1, 3]) {
      now = Math.floor(Date.now() / 1000) * 1000 + 900;
      server.answer = () => jwks(first);
      keys = new RemoteKeys(() => server.url, { now: () => now, fetch: undefined });
      await assert.rejects(verify(makeKeys('ES256')), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
      server.answer = () => jwks(first, second);
      const iat = Math.floor(now / 1000) - behind;
      await jwtVerify(signToken(second, { sub: 'alice', iat, exp: seconds(60) }), keys.getKey);
    }
  });

  for (const [title, document] of [
    ['no key', { keys: [] }],
    ['a secret key', { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }],
    ['a broken key', { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'one' }, 7, null] }],
    ['keys for encryption alone', { keys: [{ ...JSON.parse(jwks(makeKeys('ES256'))).keys[0], use: 'enc' }] }],
    ['keys for agreement alone', { keys: [publicJwk('x25519')] }],
    ['a key whose algorithm encrypts', { keys: [{ ...publicJwk('rsa', 2048), alg: 'RSA-OAEP-256' }] }],
    ['a key whose operations encrypt', { keys: [{ ...publicJwk('rsa', 2048), key_ops: ['encrypt', 'wrapKey'] }] }],
    ['a key that is too short', { keys: [publicJwk('rsa', 1024)] }],
    ['a key on a curve of no algorithm', { keys: [publicJwk('secp256k1')] }],
  ] as const)
    it(`does not replace good keys by a set with ${title}`, async () => {
      await verify(first);
      server.answer = () => JSON.stringify(document);
      now += 3_600_000;
      await verify(first);
      await assert.rejects(verify(second), DependencyUnavailable);
      await verify(first);
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
