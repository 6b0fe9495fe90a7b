import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));
const run = promisify(execFile);
const secret = randomBytes(32).toString('base64url');
const ENV = {
  ...process.env,
  POSTERN_RELAY_TRUST_SECRET: randomBytes(32).toString('base64'),
  DEX_CLIENT_SECRET: secret,
  KEYCLOAK_CLIENT_SECRET: secret,
  KEYCLOAK_ADMIN_PASSWORD: randomBytes(16).toString('hex'),
  CONTEXTFORGE_JWT_SECRET: randomBytes(48).toString('base64'),
  CONTEXTFORGE_ENCRYPTION_SECRET: randomBytes(48).toString('base64'),
  CONTEXTFORGE_ADMIN_PASSWORD: randomBytes(24).toString('base64'),
  OAUTH2_PROXY_CLIENT_SECRET: secret,
  OAUTH2_PROXY_COOKIE_SECRET: randomBytes(32).toString('base64url'),
};

/** Those that need no account anywhere. */
const FOLDERS = [
  ...[
    'traefik',
    'envoy',
    'envoy-grpc',
    'caddy',
    'nginx',
    'haproxy',
    'keycloak',
    'hyprmcp-dex',
    'grafana',
    'contextforge',
  ],
  ...['oauth2-proxy/forward-auth', 'oauth2-proxy/reverse-proxy'],
];

/** `npm run test:containers`: the compose files by a container engine, with the images, as a person starts them. */
describe('the compose files of deploy/ in containers', () => {
  before(async function () {
    this.timeout(30_000);
    if (process.env.POSTERN_TEST_CONTAINERS !== 'all') {
      process.stderr.write('  skipped: containers are for `npm run test:containers`\n');
      this.skip();
    }
    try {
      await run('docker', ['info'], { timeout: 10_000 });
      await run('docker', ['compose', 'version'], { timeout: 10_000 });
    } catch (error) {
      // Asked for by name, so it must not look green.
      assert.fail(`needs a Docker engine and the compose plugin: ${String((error as Error).message).split('\n')[0]}`);
    }
  });

  for (const name of FOLDERS)
    it(`${name} starts, and its check script finds nothing wrong`, async function () {
      this.timeout(900_000);
      const cwd = DEPLOY + name;
      const options = { cwd, env: ENV, maxBuffer: 64 * 1024 * 1024 };
      await writeFile(`${cwd}/client-secret`, secret, { mode: 0o644 });
      try {
        await run('docker', ['compose', 'up', '--build', '--wait', '--wait-timeout', '600'], options);
        await run('sh', ['check.sh'], options).catch(async (error: { stdout?: string }) => {
          const { stdout } = await run('docker', ['compose', 'logs', '--tail', '50'], options);
          throw new Error(`check.sh: ${error.stdout}\n${stdout}`);
        });
      } finally {
        await run('docker', ['compose', 'down', '--volumes', '--timeout', '10'], options);
        await rm(`${cwd}/client-secret`, { force: true });
      }
    });
});
