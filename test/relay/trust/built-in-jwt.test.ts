import assert from 'node:assert/strict';
import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { after, afterEach, before, describe, it } from 'mocha';
import { loadConfig } from '../../../src/platform/config/load.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { startRelay } from '../../../src/relay/server.ts';
import { ask, endAll, onEnd } from '../support/relay.ts';

const SECRET = 'a-secret-of-the-test-with-enough-bytes';
const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const PAIRS = {
  RS: rsa(),
  ES256: ec('P-256'),
  ES384: ec('P-384'),
  ES512: ec('P-521'),
  EdDSA: generateKeyPairSync('ed25519'),
};

const ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
];

function pairOf(algorithm: string): { publicKey: KeyObject; privateKey: KeyObject } {
  return /^[RP]S/.test(algorithm) ? PAIRS.RS : PAIRS[algorithm as 'ES256'];
}

describe('the relay’s own check of JWTs, by the variables of the guide', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-jwt-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  afterEach(endAll);

  const variables = (algorithm: string): Record<string, string> => {
    const key: Record<string, string> = { JWT_SECRET_KEY: SECRET };
    if (!algorithm.startsWith('HS')) {
      key.JWT_PUBLIC_KEY_PATH = join(folder, `${algorithm}.pem`);
      writeFileSync(key.JWT_PUBLIC_KEY_PATH, pairOf(algorithm).publicKey.export({ type: 'spki', format: 'pem' }));
    }
    return { MCP_CLIENT_AUTH_ENABLED: 'true', TRUST_PROXY_AUTH: 'false', JWT_ALGORITHM: algorithm, ...key };
  };

  /** Nobody answers behind it: 502 is a request that was let in. */
  const start = async (env: Record<string, string>) => {
    const { config } = loadConfig(undefined, {
      ...env,
      HOST: '127.0.0.1',
      PORT: '0',
      POSTERN_RELAY_INTERNAL_LISTEN: '127.0.0.1:0',
      POSTERN_RELAY_SERVERS: '{"one":{"url":"http://127.0.0.1:9/mcp"}}',
    });
    const running = await startRelay(config, { log: createLogger('relay', 'silent') });
    onEnd(() => running.close());
    return async (jwt: string) => (await ask(running.port, { headers: ['Authorization', `Bearer ${jwt}`] })).status;
  };

  const make = (algorithm: string, claims: { iss?: string; aud?: string } = {}, key?: KeyObject) =>
    new SignJWT({})
      .setProtectedHeader({ alg: algorithm })
      .setSubject('alice')
      .setIssuer(claims.iss ?? 'mcpgateway')
      .setAudience(claims.aud ?? 'mcpgateway-api')
      .setExpirationTime('1h')
      .sign(key ?? (algorithm.startsWith('HS') ? createSecretKey(SECRET, 'utf8') : pairOf(algorithm).privateKey));

  for (const algorithm of ALGORITHMS)
    it(`${algorithm}: its own tokens, and of no other algorithm`, async () => {
      const status = await start(variables(algorithm));
      assert.equal(await status(await make(algorithm)), 502);
      for (const other of ALGORITHMS.filter((each) => each !== algorithm))
        assert.equal(await status(await make(other)), 401, other);
      if (algorithm.startsWith('HS')) return;
      // RFC 8725 §2.1: the public key as the secret of an HMAC.
      const pem = pairOf(algorithm).publicKey.export({ type: 'spki', format: 'pem' });
      assert.equal(await status(await make('HS256', {}, createSecretKey(String(pem), 'utf8'))), 401);
    });

  it('issuer always, audience unless JWT_AUDIENCE_VERIFICATION is false', async () => {
    const names = { ...variables('RS256'), JWT_ISSUER: 'http://localhost:5556', JWT_AUDIENCE: 'mcp' };
    const strict = await start(names);
    assert.equal(await strict(await make('RS256', { iss: 'http://localhost:5556', aud: 'mcp' })), 502);
    assert.equal(await strict(await make('RS256', { iss: 'http://localhost:5556', aud: 'other' })), 401);
    assert.equal(await strict(await make('RS256', { iss: 'mcpgateway', aud: 'mcp' })), 401);
    const lax = await start({ ...names, JWT_AUDIENCE_VERIFICATION: 'false' });
    assert.equal(await lax(await make('RS256', { iss: 'http://localhost:5556', aud: 'other' })), 502);
    assert.equal(await lax(await make('RS256', { iss: 'mcpgateway', aud: 'mcp' })), 401);
  });

  it('a key that cannot verify the algorithm ends the start, and names both', async () => {
    for (const [algorithm, key] of [
      ['RS256', PAIRS.ES256],
      ['ES256', PAIRS.ES384],
      ['EdDSA', PAIRS.RS],
      ['PS512', generateKeyPairSync('rsa', { modulusLength: 1024 })],
    ] as const) {
      const path = join(folder, 'other.pem');
      writeFileSync(path, key.publicKey.export({ type: 'spki', format: 'pem' }));
      await assert.rejects(start({ ...variables(algorithm), JWT_PUBLIC_KEY_PATH: path }), (error: unknown) => {
        assert.ok(error instanceof ConfigurationError);
        assert.match(error.message, new RegExp(`${algorithm} does not go with`));
        return true;
      });
    }
    const absent = { ...variables('RS256'), JWT_PUBLIC_KEY_PATH: join(folder, 'absent.pem') };
    await assert.rejects(start(absent), ConfigurationError);
  });
});
