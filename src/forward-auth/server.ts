import type { ListDelimiter } from '../identity/headers.ts';
import { PresetHeaders } from '../identity/presets.ts';
import { AddressList } from '../platform/addresses.ts';
import type { Config, LimitedBy } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import { createAuthMetrics, createProcessMetrics, createStoreMetrics, GatheringRegistry } from '../platform/metrics.ts';
import { openStores } from '../stores/open-stores.ts';
import { SignedAnswers } from './assertions/signed-answers.ts';
import { openSigningKeys } from './assertions/signing-keys.ts';
import { openBrowserSessions } from './browser-sessions.ts';
import { createJudge } from './check.ts';
import { openCredentials } from './credentials.ts';
import { DecisionMeter } from './decision-meter.ts';
import { RateLimits } from './limits/rate-limits.ts';
import { type Listeners, openListeners } from './listeners.ts';
import { apiKeyRoutes } from './operator/api-key-routes.ts';
import { createOperatorApi } from './operator/operator-api.ts';
import { sessionRoutes } from './operator/session-routes.ts';
import { compilePolicy } from './policy.ts';
import { createPublicEndpoints } from './public-endpoints.ts';

export interface ForwardAuthDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  readonly fetch?: typeof fetch;
}

export type RunningForwardAuth = Listeners;

/** Process one, wired. @throws ConfigurationError where keys cannot be used, PosternError where a port is taken */
export async function startForwardAuth(config: Config, deps: ForwardAuthDependencies): Promise<RunningForwardAuth> {
  const { auth, publicUrl } = config;
  const { log } = deps;
  const common = { log, now: deps.now ?? Date.now, fetch: deps.fetch ?? fetch };
  const registry = new GatheringRegistry();
  const metrics = {
    ...createAuthMetrics(registry),
    ...createStoreMetrics(registry),
    ...createProcessMetrics(registry, 'forward-auth'),
  };
  const meter = new DecisionMeter(metrics);
  registry.beforeRead = () => meter.flush();

  const opened: Array<() => unknown> = [];
  const release = async () => {
    for (const close of opened.toReversed()) await close();
  };
  const opening = <T extends { close(): unknown }>(part: T): T => {
    opened.push(() => part.close());
    return part;
  };
  try {
    const policy = compilePolicy(config);
    const trusted = new AddressList(auth.trustedProxies);
    const keys = opening(await openSigningKeys(auth.assertion, common));
    const presets = new PresetHeaders(policy.rules.emitted, auth.emit.groupsDelimiter as ListDelimiter);
    const answers = new SignedAnswers(keys, { ...auth.assertion, issuer: publicUrl }, common.now, presets);
    const stores = opening(
      await openStores(config.redis, {
        ...common,
        metrics,
        memory: { maxSessions: auth.sessions.max },
        withoutRedis: auth.rateLimitsWithoutRedis,
      }),
    );
    const onLimited = (by: LimitedBy) => metrics.rateLimited.inc({ process: 'forward-auth', by });
    const limits = new RateLimits(auth, { stores, resources: policy.resources, log, onLimited });
    const browsers = opening(
      await openBrowserSessions(config, {
        ...common,
        stores,
        metrics,
        allowAttempt: (address) => limits.allowSignIn(address),
      }),
    );
    const credentials = opening(
      openCredentials(config, {
        ...common,
        stores,
        sessions: browsers.enabled ? browsers.sessions : undefined,
        resources: policy.resources,
        onLookup: (outcome) => meter.lookup(outcome),
        onKeys: (provider, fetched) => {
          metrics.providerUp.set({ provider }, fetched ? 1 : 0);
          if (fetched) metrics.providerKeysLoaded.set({ provider }, common.now() / 1000);
        },
      }),
    );
    const complete = { ...policy, limits, ...browsers.policy };
    const judge = createJudge({ policy: complete, authenticate: credentials.authenticate, answers, meter, log });
    const listeners = await openListeners(config, {
      judge,
      trusted,
      registry,
      metrics,
      log,
      pages: createPublicEndpoints({
        ...policy,
        issuers: auth.providers.map((provider) => provider.issuer),
        publishedKeys: () => keys.published(),
        signIn: browsers.middleware,
        log,
      }),
      ready: {
        providers: () => problemWith(credentials.missingKeys()),
        store: () => stores.problem(),
      },
      operator: createOperatorApi({
        token: auth.operatorToken,
        log,
        routes: [
          ...sessionRoutes(browsers.sessions),
          ...(credentials.apiKeys === undefined ? [] : apiKeyRoutes(credentials.apiKeys, stores.kind === 'redis')),
        ],
      }),
    });
    credentials.start();
    const { port, internalPort } = listeners;
    log.info({ port, internalPort, rules: auth.rules.length, store: stores.kind }, 'forward-auth is ready');
    return {
      ...listeners,
      close: async () => {
        await listeners.close();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

function problemWith(missingKeys: readonly string[]): string | undefined {
  return missingKeys.length === 0 ? undefined : `keys never loaded: ${missingKeys.join(', ')}`;
}
