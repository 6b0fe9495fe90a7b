import type { Config } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import type { AuthMetrics } from '../platform/metrics.ts';
import type { Stores } from '../stores/stores.ts';
import type { Policy } from './decision/decide.ts';
import { type CheckRequest, DUPLICATED } from './decision/request.ts';
import type { LoginContext } from './login/context.ts';
import { createLogin, createProviders, type Login } from './login/login.ts';
import { openSealing } from './sessions/sealing-keys.ts';
import type { Sessions } from './sessions/session.ts';
import { SessionService } from './sessions/session-service.ts';

export interface BrowserSessionsDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
  readonly stores: Stores;
  readonly metrics: AuthMetrics;
  readonly allowAttempt: LoginContext['allowAttempt'];
}

export interface BrowserSessions {
  readonly sessions: Sessions;
  /** Whether any provider has a client of ours. */
  readonly enabled: boolean;
  readonly middleware: Login['middleware'];
  /** What decisions need to know of signing in. */
  readonly policy: Pick<Policy, 'signIn' | 'upstreamCookie'>;
  close(): void;
}

/** Signing in and the sessions that come of it. @throws ConfigurationError where a key or a secret cannot be used */
export async function openBrowserSessions(config: Config, deps: BrowserSessionsDependencies): Promise<BrowserSessions> {
  const { log, now, stores, metrics } = deps;
  const providers = await createProviders(config, deps);
  const enabled = providers.clients.size > 0;
  const sealing = openSealing(config.auth.sessions, { log, shared: enabled && stores.kind === 'redis' });
  const sessions = new SessionService(config.auth.sessions, {
    stores,
    sealing,
    log,
    now,
    onEvent: (event) => metrics.sessions.inc({ event }),
    refreshTokens: providers.refresh,
  });
  const { signIn, middleware } = createLogin(config, providers, { ...deps, sealing, sessions });
  return {
    sessions,
    enabled,
    middleware,
    policy: signIn === undefined ? {} : { signIn, upstreamCookie: (request) => upstreamCookie(request, sessions) },
    close: () => {
      sessions.close();
      sealing.close();
    },
  };
}

/** Of several `Cookie` headers nothing goes on: an application would read other ones than we did. */
function upstreamCookie({ headers }: CheckRequest, sessions: Sessions): string | undefined {
  const header = headers.get('cookie');
  return header === DUPLICATED ? '' : sessions.stripped(header);
}
