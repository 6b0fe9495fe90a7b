import { execFile } from 'node:child_process';
import { access, chmod, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Child, startChild } from './child.ts';
import { freePorts } from './free-port.ts';
import { whileHeld } from './held-file.ts';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/programs', import.meta.url));
/** The newest release that runs on Java 17. */
const VERSION = '26.7.3';
const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`;
const ADMIN = { name: 'admin', password: 'admin of one test run' };
/** Milliseconds; a first start builds the server for our options. */
const START = 120_000;

export interface Keycloak {
  readonly url: string;
  /** @param realm what the admin API takes as a realm's representation */
  createRealm(realm: object): Promise<void>;
  /** The admin API below `/admin/realms`. @returns the answer's JSON, or undefined where it has none */
  admin(method: string, path: string, body?: object): Promise<unknown>;
  readonly output: string;
  stop(): Promise<void>;
}

/** Started, see {@link keycloakHomeOrSkip}. */
export async function keycloakOrSkip(context: Mocha.Context): Promise<Keycloak> {
  await keycloakHomeOrSkip(context);
  return startKeycloak();
}

/**
 * A skipped suite where there is no Java; with Java, in CI a failure where Keycloak cannot be had.
 *
 * @returns the folder that holds it
 */
export async function keycloakHomeOrSkip(context: Mocha.Context): Promise<string> {
  const skip = (why: string) => {
    process.stderr.write(`  skipped: ${why}\n`);
    return context.skip();
  };
  if (!(await hasJava())) return skip('keycloak: there is no Java 17 or newer');
  try {
    await whileHeld('keycloak', fetchKeycloak);
  } catch (error) {
    const why = `keycloak: Maven cannot fetch ${ARTIFACT} (${(error as Error).message.split('\n')[0]})`;
    if (process.env.CI === 'true') throw new Error(`needed in CI: ${why}`);
    return skip(why);
  }
  return home();
}

async function hasJava(): Promise<boolean> {
  try {
    const { stderr } = await run('java', ['-version'], { timeout: 10_000 });
    return Number(/version "(\d+)/.exec(stderr)?.[1]) >= 17;
  } catch {
    return false;
  }
}

function home(): string {
  return join(CACHE, `keycloak-${VERSION}`);
}

async function fetchKeycloak(): Promise<void> {
  const script = join(home(), 'bin', 'kc.sh');
  if (
    await access(script).then(
      () => true,
      () => false,
    )
  )
    return;
  await mkdir(CACHE, { recursive: true });
  const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
  await run('mvn', ['-B', '-q', plugin, `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${CACHE}`], { timeout: 180_000 });
  const zip = join(CACHE, `keycloak-quarkus-dist-${VERSION}.zip`);
  // Whole or not at all: a run that is cut off must not leave half a server behind.
  const fresh = join(CACHE, `keycloak-${process.pid}`);
  try {
    await run('python3', ['-m', 'zipfile', '-e', zip, fresh], { timeout: 120_000 });
    await chmod(join(fresh, `keycloak-${VERSION}`, 'bin', 'kc.sh'), 0o755);
    await rename(join(fresh, `keycloak-${VERSION}`), home());
  } finally {
    await rm(fresh, { recursive: true, force: true });
    await rm(zip, { force: true });
  }
}

/** In development mode, with a database in memory that ends with it. */
async function startKeycloak(): Promise<Keycloak> {
  const [port, management] = (await freePorts(2)) as [number, number];
  // Another host than the gate's, so that neither sees the other's cookies.
  const url = `http://localhost:${port}`;
  const child: Child = await startChild(
    'keycloak',
    join(home(), 'bin', 'kc.sh'),
    [
      'start-dev',
      '--db=dev-mem',
      '--health-enabled=true',
      '--http-host=127.0.0.1',
      `--http-port=${port}`,
      `--http-management-port=${management}`,
    ],
    {
      env: {
        KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.name,
        KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
        JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
        // A server that lives for a minute is not worth the second compiler.
        JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
      },
      ready: async () => true,
    },
  );
  try {
    await untilHealthy(child, `http://127.0.0.1:${management}/health/ready`);
  } catch (error) {
    await child.stop('SIGKILL');
    throw error;
  }
  const admin = async (method: string, path: string, body?: object) => {
    // Its tokens live for a minute only.
    const token = await adminToken(url);
    const answer = await fetch(`${url}/admin/realms${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`keycloak: ${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
  return {
    url,
    admin,
    createRealm: async (realm) => void (await admin('POST', '', realm)),
    get output() {
      return child.output;
    },
    stop: async () => void (await child.stop()),
  };
}

async function untilHealthy(child: Child, health: string): Promise<void> {
  const deadline = Date.now() + START;
  while (Date.now() < deadline) {
    if (child.ended) throw new Error(`keycloak ended before it served:\n${child.output}`);
    const answer = await fetch(health).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok === true) return;
    await sleep(250);
  }
  throw new Error(`keycloak does not serve:\n${child.output}`);
}

async function adminToken(url: string): Promise<string> {
  const answer = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'password',
      client_id: 'admin-cli',
      username: ADMIN.name,
      password: ADMIN.password,
    }),
  });
  const body = (await answer.json()) as { access_token?: string };
  if (body.access_token === undefined) throw new Error(`keycloak: no admin token: ${JSON.stringify(body)}`);
  return body.access_token;
}
