import assert from 'node:assert/strict';
import {
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import {
  ASSERTION_TYPE,
  importSigningKey,
  type SigningKey,
  signAssertion,
  verifyAssertion,
} from '../../src/identity/assertion.ts';
import { credentialHandle } from '../../src/identity/credential.ts';
import { ANONYMOUS, type Identity } from '../../src/identity/identity.ts';
import { demandClaim, type OperationDemand, readDemandClaim } from '../../src/identity/operation-demand.ts';

const IDENTITY: Identity = {
  subject: 'alice',
  email: 'alice@example.com',
  name: 'Älice, A.',
  groups: ['engineering', 'a,b'],
  scopes: ['mcp:use', 'mcp:admin'],
  method: 'session',
  issuer: 'https://idp.example.com',
};
const BINDING = { method: 'POST', host: 'mcp.example.com', path: '/servers/a/mcp' };
const CLAIMS = { issuer: 'https://mcp.example.com', audience: 'postern-relay', issuedAt: 1_800_000_000, lifetime: 60 };
const EXPECTED = {
  issuer: CLAIMS.issuer,
  audience: CLAIMS.audience,
  now: new Date(CLAIMS.issuedAt * 1000 + 1000),
  clockTolerance: 5,
};

async function newJwk(alg: 'ES256' | 'EdDSA' | 'RS256' = 'ES256'): Promise<JWK> {
  return exportJWK((await generateKeyPair(alg, { extractable: true })).privateKey);
}

describe('assertion', () => {
  let key: SigningKey;
  before(async () => {
    key = await importSigningKey(await newJwk());
  });
  const keysOf = (...signing: SigningKey[]) => createLocalJWKSet({ keys: signing.map((one) => one.publicJwk) });
  const verify = (jwt: string, change: Partial<typeof EXPECTED> = {}) =>
    verifyAssertion(jwt, keysOf(key), { ...EXPECTED, ...change });

  for (const alg of ['ES256', 'EdDSA'] as const)
    it(`gives back with ${alg} the identity and the request it was made for`, async () => {
      const signing = await importSigningKey(await newJwk(alg));
      assert.equal(signing.alg, alg);
      const jwt = signAssertion(signing, IDENTITY, BINDING, CLAIMS);
      const verified = await verifyAssertion(jwt, keysOf(key, signing), EXPECTED);
      assert.deepEqual(verified, {
        identity: IDENTITY,
        credential: {},
        binding: BINDING,
        expiresAt: CLAIMS.issuedAt + 60,
      });
    });

  it('gives back what the identity rests on', async () => {
    const credential = { handle: credentialHandle('session', 'a'), expiresAt: 1_900_000_000_000 };
    const jwt = signAssertion(key, IDENTITY, BINDING, CLAIMS, undefined, credential);
    assert.deepEqual((await verify(jwt)).credential, credential);
  });

  describe('with a demand', () => {
    const DEMAND: OperationDemand = {
      always: ['mcp:use'],
      entries: [
        { by: 'tool', glob: 'delete_*', scopes: ['mcp:admin'], held: false },
        { by: 'method', glob: 'ping', scopes: ['mcp:use'], held: true },
      ],
      metadataUrl: 'https://mcp.example.com/.well-known/oauth-protected-resource/servers/a/mcp',
    };

    it('gives it back', async () => {
      const jwt = signAssertion(key, IDENTITY, BINDING, CLAIMS, DEMAND);
      assert.deepEqual((await verify(jwt)).demand, DEMAND);
    });

    it('is refused by who does not know what a demand is, as every reader of RFC 7515 must', async () => {
      const jwt = signAssertion(key, IDENTITY, BINDING, CLAIMS, DEMAND);
      await assert.rejects(jwtVerify(jwt, keysOf(key), { typ: ASSERTION_TYPE }), { code: 'ERR_JOSE_NOT_SUPPORTED' });
      await jwtVerify(signAssertion(key, IDENTITY, BINDING, CLAIMS), keysOf(key), { typ: ASSERTION_TYPE });
    });

    it('is refused where the demand cannot be read', () => {
      const claim = demandClaim(DEMAND);
      assert.deepEqual(readDemandClaim(claim), DEMAND);
      for (const bad of [
        null,
        {},
        [],
        [['a'], [], 1],
        [[1], [], ''],
        [[], [['tool', 'x', ['a']]], ''],
        [[], [['server', 'x', ['a'], 0]], ''],
        [[], [['tool', 1, ['a'], 0]], ''],
        [[], [['tool', 'x', 'a', 0]], ''],
        [[], [['tool', 'x', ['a'], true]], ''],
      ])
        assert.equal(readDemandClaim(bad), undefined, JSON.stringify(bad));
    });
  });

  it('of nobody is of nobody', async () => {
    const { identity } = await verify(signAssertion(key, ANONYMOUS, BINDING, CLAIMS));
    assert.equal(identity, ANONYMOUS);
  });

  it('publishes no private part, and a stable key id', async () => {
    const jwk = await newJwk();
    const [first, again] = [await importSigningKey(jwk), await importSigningKey(jwk)];
    assert.equal(first.publicJwk.d, undefined);
    assert.equal(first.kid, again.kid);
    assert.equal((await importSigningKey({ ...jwk, kid: 'mine' })).publicJwk.kid, 'mine');
  });

  it('refuses keys of another kind and public keys', async () => {
    const { d: _private, ...publicOnly } = await newJwk();
    await assert.rejects(importSigningKey(await newJwk('RS256')), TypeError);
    await assert.rejects(importSigningKey(publicOnly), TypeError);
  });

  describe('is refused', () => {
    const code = (expected: string) => (error: unknown) => {
      assert.equal((error as { code?: string }).code, expected);
      return true;
    };
    const signed = (payload: JWTPayload, header: object = {}) =>
      new SignJWT({
        iss: CLAIMS.issuer,
        aud: CLAIMS.audience,
        iat: CLAIMS.issuedAt,
        exp: CLAIMS.issuedAt + 60,
        ...payload,
      })
        .setProtectedHeader({ alg: 'ES256', typ: ASSERTION_TYPE, kid: key.kid, ...header })
        .sign(key.privateKey);
    const bound = { sub: 'alice', amr: 'session', htm: 'POST', hth: 'h', htp: '/' };

    it('never, where it is right (so that the others prove something)', async () => {
      assert.equal((await verify(await signed(bound))).identity.subject, 'alice');
    });

    it('after its lifetime and the tolerance', async () => {
      const jwt = signAssertion(key, IDENTITY, BINDING, CLAIMS);
      await verify(jwt, { now: new Date((CLAIMS.issuedAt + 64) * 1000) });
      await assert.rejects(verify(jwt, { now: new Date((CLAIMS.issuedAt + 66) * 1000) }), code('ERR_JWT_EXPIRED'));
    });

    it('for another audience or from another issuer', async () => {
      const jwt = signAssertion(key, IDENTITY, BINDING, CLAIMS);
      await assert.rejects(verify(jwt, { audience: 'other' }), code('ERR_JWT_CLAIM_VALIDATION_FAILED'));
      await assert.rejects(verify(jwt, { issuer: 'https://other' }), code('ERR_JWT_CLAIM_VALIDATION_FAILED'));
    });

    it('as another kind of token: no access token is an assertion', async () => {
      for (const typ of ['at+jwt', 'JWT', undefined])
        await assert.rejects(verify(await signed(bound, { typ })), code('ERR_JWT_CLAIM_VALIDATION_FAILED'));
    });

    for (const claim of ['sub', 'iat', 'exp', 'htm', 'hth', 'htp'])
      it(`without ${claim}`, async () => {
        await assert.rejects(
          verify(await signed({ ...bound, [claim]: undefined })),
          code('ERR_JWT_CLAIM_VALIDATION_FAILED'),
        );
      });

    it('with a method that does not exist, or somebody without a name', async () => {
      await assert.rejects(verify(await signed({ ...bound, amr: 'root' })), code('ERR_JWT_CLAIM_VALIDATION_FAILED'));
      await assert.rejects(verify(await signed({ ...bound, sub: '' })), code('ERR_JWT_CLAIM_VALIDATION_FAILED'));
    });

    it('from a key that is not published, even under a published id', async () => {
      const other = await importSigningKey({ ...(await newJwk()), kid: key.kid });
      const jwt = signAssertion(other, IDENTITY, BINDING, CLAIMS);
      await assert.rejects(verify(jwt), code('ERR_JWS_SIGNATURE_VERIFICATION_FAILED'));
      await assert.rejects(
        verifyAssertion(jwt, createLocalJWKSet({ keys: [] }), EXPECTED),
        code('ERR_JWKS_NO_MATCHING_KEY'),
      );
    });

    it('changed in any part', async () => {
      const [header, payload, signature] = signAssertion(key, IDENTITY, BINDING, CLAIMS).split('.') as [
        string,
        string,
        string,
      ];
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
      const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'mallory' })).toString('base64url');
      await assert.rejects(verify(`${header}.${forged}.${signature}`), code('ERR_JWS_SIGNATURE_VERIFICATION_FAILED'));
    });

    it('unsigned, or signed with the public key as a shared secret (RFC 8725 §2.1)', async () => {
      const unsigned = new UnsecuredJWT({ ...bound, iss: CLAIMS.issuer, aud: CLAIMS.audience })
        .setExpirationTime(CLAIMS.issuedAt + 60)
        .encode();
      await assert.rejects(verify(unsigned), code('ERR_JOSE_ALG_NOT_ALLOWED'));
      const confused = await new SignJWT({
        ...bound,
        iss: CLAIMS.issuer,
        aud: CLAIMS.audience,
        exp: CLAIMS.issuedAt + 60,
      })
        .setProtectedHeader({ alg: 'HS256', typ: ASSERTION_TYPE, kid: key.kid })
        .sign(Buffer.from(JSON.stringify(key.publicJwk)));
      await assert.rejects(verify(confused), code('ERR_JOSE_ALG_NOT_ALLOWED'));
    });
  });
});
