import { randomBytes } from 'node:crypto';
import { Registry } from 'prom-client';
import { SessionService } from '../src/forward-auth/sessions/session-service.ts';
import { parseConfig } from '../src/platform/config/load.ts';
import { createLogger } from '../src/platform/log.ts';
import { createStoreMetrics } from '../src/platform/metrics.ts';
import { openSealing } from '../src/platform/sealing/sealing-keys.ts';
import { openStores } from '../src/stores/open-stores.ts';
import { freePorts } from '../test/support/free-port.ts';
import { resolveProgram } from '../test/support/programs.ts';
import { LOAD_CORE, startTarget, type Target } from './target.ts';
import { REAL_GROUPS } from './tokens.ts';

export interface BenchSessions {
  /** The `Cookie` of each browser that is signed in. */
  readonly cookies: readonly string[];
  /** What forward-auth must be told to find that session. */
  readonly settings: { readonly redis: object; readonly keys: string };
  readonly target: Target;
}

/** Sessions begun at a time. */
const AT_ONCE = 100;

/** A real Redis beside the load, with sessions in it, made by the code that makes them. */
/** @param real sessions as providers make them: a hundred groups, and three tokens of 5 KB */
export async function startSessions(issuer: string, count: number, real = false): Promise<BenchSessions> {
  const found = await resolveProgram('redis');
  if (!('program' in found)) throw new Error(found.missing);
  if (found.program.kind !== 'binary') throw new Error('Redis in a container cannot be pinned to a core');
  const [port] = (await freePorts(1)) as [number];
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const target = await startTarget(LOAD_CORE, found.program.path, args, { host: '127.0.0.1', port });
  const keys = randomBytes(32).toString('base64url');
  const redis = { url: `redis://127.0.0.1:${port}` };
  const config = parseConfig({ redis, auth: { sessions: { keys } } });
  const log = createLogger('auth', 'silent');
  const stores = await openStores(config.redis, {
    log,
    metrics: createStoreMetrics(new Registry()),
    memory: { maxSessions: 1 },
    withoutRedis: 'local',
  });
  try {
    const sessions = new SessionService(config.auth.sessions, {
      stores,
      sealing: openSealing(config.auth.sessions, { log, shared: true, keysAt: 'auth.sessions.keys', what: 'sessions' }),
      log,
      now: Date.now,
      onEvent: () => {},
    });
    const identity = {
      subject: 'alice',
      email: 'alice@example.com',
      name: 'Alice Example',
      groups: real ? REAL_GROUPS : ['engineering', 'platform'],
      scopes: ['mcp:use'],
      method: 'session',
      issuer,
    } as const;
    const token = () => randomBytes(3_750).toString('base64url');
    const tokens = () =>
      real ? { accessToken: token(), refreshToken: token(), idToken: token() } : { accessToken: 'of the benchmark' };
    const browser = { userAgent: 'bench', address: '203.0.113.7', host: 'mcp.example.com' };
    const cookies: string[] = [];
    while (cookies.length < count) {
      const length = Math.min(AT_ONCE, count - cookies.length);
      const begun = await Promise.all(
        Array.from({ length }, (_, at) => {
          const subject = count === 1 ? identity.subject : `person-${cookies.length + at}`;
          return sessions.begin(
            { provider: 'bench', tokens: tokens(), identity: { ...identity, subject } },
            browser,
            undefined,
          );
        }),
      );
      cookies.push(...begun.map(([cookie]) => (cookie as string).split(';')[0] as string));
    }
    return { cookies, settings: { redis, keys }, target };
  } finally {
    await stores.close();
  }
}
