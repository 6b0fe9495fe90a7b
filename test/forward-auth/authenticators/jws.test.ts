import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { CompactSign, compactVerify } from 'jose';
import { parseJws, verifySignature } from '../../../src/forward-auth/authenticators/jws.ts';
import { keyFits } from '../../../src/platform/verification-key.ts';

type Pair = { publicKey: KeyObject; privateKey: KeyObject };
const rsa = (bits = 2048): Pair => generateKeyPairSync('rsa', { modulusLength: bits });
const ec = (namedCurve: string): Pair => generateKeyPairSync('ec', { namedCurve });
const ed = (): Pair => generateKeyPairSync('ed25519');

const KINDS: Array<[alg: string, make: () => Pair]> = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg): [string, () => Pair] => [alg, rsa]),
  ['ES256', () => ec('P-256')],
  ['ES384', () => ec('P-384')],
  ['ES512', () => ec('P-521')],
  ['EdDSA', ed],
];

/** As the authenticator asks: the key must fit the algorithm before any signature is looked at. */
function ours(token: string, alg: string, key: KeyObject): boolean {
  const jws = parseJws(token);
  return jws !== undefined && jws.header.alg === alg && keyFits(key, alg) && verifySignature(jws, alg, key);
}

async function joses(token: string, alg: string, key: KeyObject): Promise<boolean> {
  return compactVerify(token, key, { algorithms: [alg] }).then(
    () => true,
    () => false,
  );
}

describe('signatures of compact JWS', () => {
  for (const [alg, make] of KINDS)
    describe(`${alg}, in agreement with jose`, () => {
      const pair = make();
      const stranger = make();
      let token: string;
      before(async () => {
        token = await new CompactSign(Buffer.from('{"sub":"alice"}')).setProtectedHeader({ alg }).sign(pair.privateKey);
      });
      const both = async (text: string, key: KeyObject, expected: boolean, algorithm = alg) => {
        assert.equal(await joses(text, algorithm, key), expected, 'jose');
        assert.equal(ours(text, algorithm, key), expected, 'ours');
      };
      const parts = () => token.split('.') as [string, string, string];

      it('accepts a good one', () => both(token, pair.publicKey, true));
      it('refuses another key', () => both(token, stranger.publicKey, false));
      it('refuses another payload', () => {
        const [header, , signature] = parts();
        return both(
          `${header}.${Buffer.from('{"sub":"admin"}').toString('base64url')}.${signature}`,
          pair.publicKey,
          false,
        );
      });
      it('refuses each changed byte of the signature', async () => {
        const [header, payload, signature] = parts();
        const bytes = Buffer.from(signature, 'base64url');
        for (const place of [0, bytes.length >> 1, bytes.length - 1]) {
          const changed = Buffer.from(bytes);
          changed[place] = (changed[place] as number) ^ 1;
          await both(`${header}.${payload}.${changed.toString('base64url')}`, pair.publicKey, false);
        }
      });
      it('refuses a shortened, a lengthened and an empty signature', async () => {
        const [header, payload, signature] = parts();
        const bytes = Buffer.from(signature, 'base64url');
        for (const other of [bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.alloc(1)]), Buffer.alloc(0)])
          await both(`${header}.${payload}.${other.toString('base64url')}`, pair.publicKey, false);
      });
      it('refuses a header that names another algorithm', async () => {
        const [, payload, signature] = parts();
        for (const [other] of [...KINDS, ['none'], ['HS256']] as Array<[string]>) {
          if (other === alg) continue;
          const header = Buffer.from(JSON.stringify({ alg: other })).toString('base64url');
          assert.equal(ours(`${header}.${payload}.${signature}`, alg, pair.publicKey), false, other);
          assert.equal(ours(`${header}.${payload}.${signature}`, other, pair.publicKey), false, other);
        }
      });
    });

  it('takes a key for the algorithms of its own type and curve only', () => {
    const keys = { rsa: rsa().publicKey, p256: ec('P-256').publicKey, p384: ec('P-384').publicKey, ed: ed().publicKey };
    const fitting = Object.entries(keys).map(([name, key]) => [
      name,
      KINDS.map(([alg]) => alg).filter((alg) => keyFits(key, alg)),
    ]);
    assert.deepEqual(fitting, [
      ['rsa', ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
      ['p256', ['ES256']],
      ['p384', ['ES384']],
      ['ed', ['EdDSA']],
    ]);
  });

  it('takes no RSA signature without its leading zero, which OpenSSL would', async () => {
    const { publicKey, privateKey } = rsa();
    // Signatures with PSS differ each time; about one in 256 starts with a zero.
    for (let tries = 0; tries < 5_000; tries++) {
      const input = `${Buffer.from('{"alg":"PS256"}').toString('base64url')}.${Buffer.from('{}').toString('base64url')}`;
      const signature = sign('sha256', Buffer.from(input), {
        key: privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      });
      if (signature[0] !== 0) continue;
      assert.equal(ours(`${input}.${signature.toString('base64url')}`, 'PS256', publicKey), true);
      assert.equal(ours(`${input}.${signature.subarray(1).toString('base64url')}`, 'PS256', publicKey), false);
      return;
    }
    assert.fail('no signature started with a zero');
  });

  it('takes no RSA key that is too short, no private key and no secret', () => {
    assert.equal(keyFits(rsa(1024).publicKey, 'RS256'), false);
    assert.equal(keyFits(rsa().privateKey, 'RS256'), false);
    for (const alg of ['none', 'HS256', 'constructor']) assert.equal(keyFits(rsa().publicKey, alg), false);
  });

  for (const text of [
    '',
    'a.b',
    'a.b.c.d',
    '..',
    'e30=.e30.AA',
    'e30.e30.A',
    'W10.e30.AA',
    'e30.W10.AA',
    'e30.e30.A+A',
    'e31.e30.AA',
  ])
    it(`refuses ${JSON.stringify(text)} as no JWS`, () => assert.equal(parseJws(text), undefined));
});
