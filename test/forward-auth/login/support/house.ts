import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import { SIGN_IN_PATHS } from '../../../../src/forward-auth/decision/own-endpoints.ts';
import { createLogin, createProviders } from '../../../../src/forward-auth/login/login.ts';
import { compilePolicy } from '../../../../src/forward-auth/policy.ts';
import type { Sessions } from '../../../../src/forward-auth/sessions/session.ts';
import { SessionService } from '../../../../src/forward-auth/sessions/session-service.ts';
import type { AuditLog } from '../../../../src/platform/audit/audit-log.ts';
import { parseConfig } from '../../../../src/platform/config/load.ts';
import { DependencyUnavailable } from '../../../../src/platform/errors.ts';
import { createLogger } from '../../../../src/platform/log.ts';
import { createAuthMetrics } from '../../../../src/platform/metrics.ts';
import { openBranding } from '../../../../src/platform/pages/branding.ts';
import { PageSite } from '../../../../src/platform/pages/page.ts';
import { OPEN_EACH } from '../../../../src/platform/reloading/reusable-parts.ts';
import { openSealing } from '../../../../src/platform/sealing/sealing-keys.ts';
import { createMemoryStores } from '../../../../src/stores/memory/memory-stores.ts';
import { CLIENT_SECRET, type InteractiveProvider, startInteractiveProvider } from './interactive-provider.ts';
import { Jar } from './jar.ts';

export type House = Awaited<ReturnType<typeof openHouse>>;

/** The sign-in endpoints on a real server, with real providers. */
export async function openHouse(
  options: {
    providers?: number;
    provider?: object | ((issuer: string) => object);
    fetch?: typeof fetch;
    auth?: object;
    change?: (idp: InteractiveProvider) => void;
    audit?: AuditLog;
  } = {},
) {
  const app = new Koa();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const idps: InteractiveProvider[] = [];
  const { providers: count = 1 } = options;
  for (let i = 0; i < count; i++)
    idps.push(await startInteractiveProvider(origin, `/_postern/callback${count === 1 ? '' : `/idp${i}`}`));
  const config = parseConfig({
    publicUrl: origin,
    auth: {
      providers: idps.map(({ issuer }, index) => ({
        ...{ id: `idp${index}`, issuer, clientId: 'postern', clientSecret: CLIENT_SECRET },
        ...(typeof options.provider === 'function' ? options.provider(issuer) : options.provider),
      })),
      ...options.auth,
    },
  });
  let written = '';
  const log = createLogger('auth', 'debug', {
    write: (line: string) => {
      written += line;
    },
  });
  let shift = 0;
  const now = () => Date.now() + shift;
  const metrics = createAuthMetrics();
  const sealing = openSealing(config.auth.sessions, {
    log,
    shared: false,
    keysAt: 'auth.sessions.keys',
    what: 'sessions',
  });
  const stores = createMemoryStores({ maxSessions: 1_000, log, now });
  const providers = await createProviders(config, { log, now, fetch: options.fetch ?? fetch });
  const sessions = new SessionService(config.auth.sessions, {
    ...{ stores, sealing, log, now, onEvent: () => {}, refreshTokens: providers.refresh },
  });
  const control = { limited: false, storeDown: false };
  const guarded = new Proxy<Sessions>(sessions, {
    get: (target, name) => {
      const value = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        if (control.storeDown && name !== 'removal') throw new DependencyUnavailable('the session store');
        return value.apply(target, args);
      };
    },
  });
  const policy = compilePolicy(config);
  const login = createLogin(config, providers, {
    site: new PageSite(SIGN_IN_PATHS.assets, openBranding(config.auth.pages)),
    home: { ...policy, titleOf: (server) => server, accountsUrl: undefined, applications: () => undefined },
    keep: OPEN_EACH,
    audit: options.audit,
    suspensions: { find: () => undefined },
    ...{ log, now, fetch, sealing, stores, metrics, sessions: guarded },
    allowAttempt: async () => (control.limited ? { resetIn: 2_500 } : undefined),
  });
  app.use(login.middleware);
  app.use((ctx) => {
    ctx.body = `page ${ctx.path}`;
  });
  server.on('request', app.callback());
  return {
    origin,
    idps,
    idp: idps[0] as InteractiveProvider,
    sessions,
    providers,
    sealing,
    control,
    metrics,
    log: () => written,
    pass: (milliseconds: number) => {
      shift += milliseconds;
    },
    at: (path: string) => origin + path,
    /** Signs in as a person would. @returns the browser */
    enter: async (user = 'alice', jar = new Jar()): Promise<Jar> => {
      (idps[0] as InteractiveProvider).user = user;
      await jar.until(`${origin}/_postern/sign-in?switch=1&rd=/inside`, /\/inside$/);
      return jar;
    },
    outcomes: async () =>
      Object.fromEntries((await metrics.signIns.get()).values.map((entry) => [entry.labels.outcome, entry.value])),
    close: async () => {
      sessions.close();
      sealing.close();
      await stores.close();
      server.close();
      server.closeAllConnections();
      for (const idp of idps) await idp.stop();
    },
  };
}
