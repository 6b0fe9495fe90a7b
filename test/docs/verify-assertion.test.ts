import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { JWK } from 'jose';
import { ASSERTION_TYPE, importSigningKey, type SigningKey, signAssertion } from '../../src/identity/assertion.ts';
import { ANONYMOUS, type Identity } from '../../src/identity/identity.ts';
import { type Gate, openGate, PUBLIC_URL } from '../forward-auth/support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from '../forward-auth/support/key-server.ts';
import { type Child, startChild } from '../support/child.ts';
import { freePorts } from '../support/free-port.ts';
import { rawRequest } from '../support/raw-request.ts';

const run = promisify(execFile);
const EXAMPLES = fileURLToPath(new URL('../../docs/examples/verify-assertion/', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache/examples/', import.meta.url));
const PATH = '/app/orders';
const ALICE: Identity = { ...ANONYMOUS, subject: 'alice', groups: ['engineering'], method: 'bearer' };

/** A command that runs an example, with its dependencies in a folder of the project. */
type Prepared = readonly [command: string, ...args: string[]];

/** Without the language the suite is skipped, and fails in CI; without its registry it is skipped. */
async function languageOrSkip(context: Mocha.Context, command: string, ...args: string[]): Promise<void> {
  const problem = await run(command, args).then(
    () => undefined,
    () => `${command} is not on PATH`,
  );
  if (problem === undefined) return;
  if (process.env.CI === 'true') throw new Error(`needed in CI: ${problem}`);
  process.stderr.write(`  skipped: ${problem}\n`);
  context.skip();
}

async function fetched(context: Mocha.Context, command: string, args: string[], options: object = {}): Promise<void> {
  try {
    await run(command, args, { timeout: 150_000, ...options });
  } catch (error) {
    process.stderr.write(`  skipped: dependencies cannot be fetched (${(error as Error).message.split('\n')[0]})\n`);
    context.skip();
  }
}

const LANGUAGES: Record<string, (context: Mocha.Context) => Promise<Prepared>> = {
  typescript: async () => [process.execPath, '--import', 'tsx', join(EXAMPLES, 'typescript/server.ts')],
  python: async (context) => {
    await languageOrSkip(context, 'python3', '--version');
    const venv = join(CACHE, 'venv');
    const python = join(venv, 'bin/python');
    await mkdir(CACHE, { recursive: true });
    const installed = ['-c', 'import jwt, cryptography; assert jwt.__version__ == "2.15.1"'];
    await run(python, installed).catch(async () => {
      await run('python3', ['-m', 'venv', venv], { timeout: 60_000 });
      await fetched(context, python, ['-m', 'pip', 'install', '-q', '-r', join(EXAMPLES, 'python/requirements.txt')]);
    });
    return [python, join(EXAMPLES, 'python/server.py')];
  },
  go: async (context) => {
    await languageOrSkip(context, 'go', 'version');
    await mkdir(CACHE, { recursive: true });
    const cwd = join(EXAMPLES, 'go');
    const folders = { GOPATH: join(CACHE, 'go'), GOCACHE: join(CACHE, 'go-build') };
    const env = { ...process.env, ...folders, GOFLAGS: '-modcacherw', GOTOOLCHAIN: 'local' };
    await fetched(context, 'go', ['mod', 'download'], { cwd, env });
    const built = join(CACHE, 'verify-assertion');
    await run('go', ['build', '-o', built, '.'], { cwd, env, timeout: 150_000 });
    return [built];
  },
};

describe('the examples that verify an assertion', () => {
  const idpKey = rsaKey('idp');
  let idp: KeyServer;
  let gate: Gate;
  let key: SigningKey;
  before(async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...(privateKey.export({ format: 'jwk' }) as JWK), kid: 'signing' };
    key = await importSigningKey(jwk);
    idp = await startKeyServer([idpKey]);
    gate = await openGate({
      providers: [{ id: 'corp', issuer: idp.issuer, audiences: ['orders'] }],
      rules: [{ match: { path: '/app/**' } }],
      assertion: { audience: 'orders', keys: JSON.stringify({ keys: [jwk] }) },
    });
  });
  after(async () => {
    await gate.close();
    await idp.stop();
  });

  const genuine = async (method = 'GET') => {
    const token = await idp.sign(idpKey, { aud: 'orders' });
    return String((await gate.ask(PATH, { method, token })).headers['x-authenticated-assertion']);
  };
  const signed = (change: { by?: SigningKey; who?: Identity; binding?: object; claims?: object } = {}) =>
    signAssertion(
      change.by ?? key,
      change.who ?? ALICE,
      { method: 'GET', host: 'mcp.example.com', path: PATH, ...change.binding },
      {
        issuer: PUBLIC_URL,
        audience: 'orders',
        issuedAt: Math.floor(Date.now() / 1000),
        lifetime: 60,
        ...change.claims,
      },
    );
  const stranger = async (kid: string) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return importSigningKey({ ...(privateKey.export({ format: 'jwk' }) as JWK), kid });
  };
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const withHeader = (header: object) =>
    `${encoded({ typ: ASSERTION_TYPE, kid: 'signing', ...header })}.${signed().split('.')[1]}`;
  const hmac = () => {
    const input = withHeader({ alg: 'HS256' });
    const pem = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' });
    return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`;
  };
  const changed = () => {
    const [header, , signature] = signed().split('.');
    return `${header}.${signed({ who: { ...ALICE, subject: 'root' } }).split('.')[1]}.${signature}`;
  };
  const forgeries: Record<string, () => string | Promise<string>> = {
    'that has expired': () => signed({ claims: { issuedAt: Math.floor(Date.now() / 1000) - 120 } }),
    'for another audience': () => signed({ claims: { audience: 'postern-relay' } }),
    'of another issuer': () => signed({ claims: { issuer: 'https://evil.example' } }),
    'for another method': () => signed({ binding: { method: 'DELETE' } }),
    'for another host': () => signed({ binding: { host: 'other.example.com' } }),
    'for another path': () => signed({ binding: { path: '/app/other' } }),
    'of nobody': () => signed({ who: ANONYMOUS }),
    'with another payload': changed,
    'by another key under the published id': async () => signed({ by: await stranger('signing') }),
    'by a key that is not published': async () => signed({ by: await stranger('unknown') }),
    'with alg none': () => `${withHeader({ alg: 'none' })}.`,
    'with the public key as an HMAC secret': hmac,
    'that is another kind of token': () => `${withHeader({ alg: 'ES256', typ: 'JWT' })}.${signed().split('.')[2]}`,
    'that is no JWT': () => 'alice',
  };

  for (const [language, prepare] of Object.entries(LANGUAGES))
    describe(language, () => {
      let backend: Child;
      let port: number;
      before(async function () {
        this.timeout(240_000);
        const [command, ...args] = await prepare(this);
        [port] = (await freePorts(1)) as [number];
        const env = {
          JWKS_URL: `http://127.0.0.1:${gate.port}/_postern/jwks.json`,
          ...{ ISSUER: PUBLIC_URL, AUDIENCE: 'orders', PUBLIC_HOST: 'mcp.example.com', PORT: String(port) },
        };
        backend = await startChild(language, command, args, { env, ready: `http://127.0.0.1:${port}/` });
      });
      after(async () => {
        await backend?.stop();
      });
      const ask = (assertion: readonly string[], method = 'GET', path = PATH) =>
        rawRequest(port, path, { method, headers: assertion.flatMap((jwt) => ['X-Authenticated-Assertion', jwt]) });

      it('believes a genuine one, with any query', async () => {
        const answer = await ask([await genuine()]);
        assert.equal(answer.status, 200, answer.body + backend.output);
        assert.match(answer.body, /^hello alice of \["engineering"\]/);
        assert.equal((await ask([await genuine()], 'GET', `${PATH}?page=2`)).status, 200);
        assert.equal((await ask([await genuine('POST')], 'POST')).status, 200);
        assert.equal((await ask([signed()])).status, 200);
      });

      it('refuses a request without one, with two, and with one for another request', async () => {
        assert.equal((await ask([])).status, 401);
        assert.equal((await ask([signed(), signed()])).status, 401);
        assert.equal((await ask([await genuine()], 'POST')).status, 401);
        assert.equal((await ask([await genuine()], 'GET', '/app/other')).status, 401);
      });

      for (const [name, forge] of Object.entries(forgeries))
        it(`refuses one ${name}`, async () => assert.equal((await ask([await forge()])).status, 401));
    });
});
