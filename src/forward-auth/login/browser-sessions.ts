import { credentialHandle } from '../../identity/credential.ts';
import type { AuditLog } from '../../platform/audit/audit-log.ts';
import type { Config } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import type { AuthMetrics } from '../../platform/metrics.ts';
import type { PageSite } from '../../platform/pages/page.ts';
import type { Keep } from '../../platform/reloading/reusable-parts.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import { openSealing } from '../../platform/sealing/sealing-keys.ts';
import type { RevokedCredentials } from '../../stores/revoked-credentials.ts';
import type { Stores } from '../../stores/stores.ts';
import type { Suspensions } from '../../stores/suspensions.ts';
import type { Watcher } from '../../watch/watch.ts';
import type { Policy } from '../decision/decide.ts';
import { type CheckRequest, DUPLICATED } from '../decision/request.ts';
import type { Queues } from '../limits/overload-queues.ts';
import type { Sessions } from '../sessions/session.ts';
import { SessionService } from '../sessions/session-service.ts';
import type { LoginContext } from './context.ts';
import type { HomeParts } from './home.ts';
import { createLogin, createProviders, type Login } from './login.ts';

export interface BrowserSessionsDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
  readonly stores: Stores;
  readonly ended: Pick<RevokedCredentials, 'end'>;
  readonly suspensions: Pick<Suspensions, 'find'>;
  readonly metrics: AuthMetrics;
  readonly audit: AuditLog | undefined;
  readonly watch: Watcher | undefined;
  readonly allowAttempt: LoginContext['allowAttempt'];
  readonly keep: Keep;
  readonly queues: Pick<Queues, 'store'>;
  readonly site: PageSite;
  readonly home: HomeParts;
}

export interface BrowserSessions {
  readonly sessions: Sessions;
  readonly sealing: Sealing;
  /** Whether any provider has a client of ours. */
  readonly enabled: boolean;
  readonly middleware: Login['middleware'];
  /** What decisions need to know of signing in. */
  readonly policy: Pick<Policy, 'signIn' | 'upstreamCookie'>;
}

/** Signing in and the sessions that come of it. @throws ConfigurationError where a key or a secret cannot be used */
export async function openBrowserSessions(config: Config, deps: BrowserSessionsDependencies): Promise<BrowserSessions> {
  const { log, now, stores, ended, suspensions, metrics, watch, keep, queues } = deps;
  const settings = config.auth.sessions;
  const providers = await createProviders(config, deps);
  const enabled = providers.clients.size > 0;
  const shared = enabled && stores.kind === 'redis';
  const { keys, keysPath } = settings;
  const sealing = keep('sealing', [keys, keysPath, shared], () =>
    openSealing(settings, { log, shared, keysAt: 'auth.sessions.keys', what: 'sessions' }),
  );
  const sessions = keep('sessions', [settings, shared, providers.settings], () => {
    const service = new SessionService(settings, {
      ...{ stores, sealing, log, now, queue: queues.store },
      onEvent: (event) => metrics.sessions.inc({ event }),
      refreshTokens: providers.refresh,
      endOf: (signedIn) => {
        if (suspensions.find(signedIn.identity) !== undefined) return 'operator';
        if (providers.stillHas(signedIn)) return undefined;
        const { identity: person, provider } = signedIn;
        watch?.observe({ kind: 'provider_removed', person, provider });
        return 'provider_removed';
      },
    });
    service.onEnd((key) => ended.end(credentialHandle('session', key)));
    return service;
  });
  const { signIn, middleware } = createLogin(config, providers, { ...deps, sealing, sessions });
  return {
    sessions,
    sealing,
    enabled,
    middleware,
    policy: signIn === undefined ? {} : { signIn, upstreamCookie: (request) => upstreamCookie(request, sessions) },
  };
}

/** Of several `Cookie` headers nothing goes on: an application would read other ones than we did. */
function upstreamCookie({ headers }: CheckRequest, sessions: Sessions): string | undefined {
  const header = headers.get('cookie');
  return header === DUPLICATED ? '' : sessions.stripped(header);
}
