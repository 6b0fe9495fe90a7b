import { readFile } from 'node:fs/promises';
import Router from '@koa/router';
import type Koa from 'koa';
import type { Config, ProviderConfig } from '../../platform/config/schema.ts';
import { ConfigurationError, DependencyUnavailable, PosternError } from '../../platform/errors.ts';
import { failureText } from '../../platform/failure-reason.ts';
import { requestId } from '../../platform/http.ts';
import { fieldsOf, isForPerson } from '../../platform/navigation.ts';
import { type PageSite, sendAsset } from '../../platform/pages/page.ts';
import { beginVisit, showProblem } from '../../platform/pages/visit.ts';
import { type Keep, OPEN_EACH } from '../../platform/reloading/reusable-parts.ts';
import { trustedPeers } from '../../platform/trusted-peers.ts';
import { unreadable } from '../../platform/unreadable.ts';
import { ProviderKeys } from '../authenticators/provider-keys.ts';
import { callbackPath, SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { SignIn } from '../decision/sign-in.ts';
import type { RefreshTokens, Sessions, SignedIn } from '../sessions/session.ts';
import { BackChannelLogout } from './back-channel-logout.ts';
import { finishSignIn } from './callback.ts';
import { currentSession, type LoginContext } from './context.ts';
import { type HomeParts, revokeApplication, showHome } from './home.ts';
import { LoginTransactions } from './login-transaction.ts';
import { endSessions, listSessions, showMe } from './own-sessions.ts';
import { ProviderClient } from './provider-client.ts';
import type { ProviderDependencies } from './provider-discovery.ts';
import { RequestOrigins } from './request-origin.ts';
import { ReturnUrls } from './return-url.ts';
import { beginSignIn } from './sign-in.ts';
import { Origins, SignInUrls } from './sign-in-urls.ts';
import { askToSignOut, frontChannelLogout, showEnd, signOut } from './sign-out.ts';
import { showWrongAddress } from './wrong-address.ts';

/** The providers that people sign in with, ready before the sessions that they refresh. */
export interface LoginProviders {
  readonly clients: ReadonlyMap<string, ProviderClient>;
  readonly refresh: RefreshTokens;
  /** Whether the provider that a person signed in with is still configured, and still the same one. */
  readonly stillHas: (signedIn: SignedIn) => boolean;
  /** Everything that the clients are made of, secrets included. */
  readonly settings: unknown;
}

export type LoginDependencies = Pick<
  LoginContext,
  'log' | 'now' | 'fetch' | 'sealing' | 'suspensions' | 'stores' | 'metrics' | 'audit' | 'watch' | 'allowAttempt'
> & { readonly sessions: Sessions; readonly keep: Keep; readonly site: PageSite; readonly home: HomeParts };

export interface Login {
  /** Answers below `SIGN_IN_PATHS`; everything else goes on. */
  readonly middleware: Koa.Middleware;
  /** Undefined where no provider has a client of ours. */
  readonly signIn: SignIn | undefined;
}

/** @throws ConfigurationError where a file with a client's secret cannot be read */
export async function createProviders(
  config: Config,
  deps: ProviderDependencies & { readonly keep?: Keep },
): Promise<LoginProviders> {
  const { keep = OPEN_EACH } = deps;
  const clients = new Map<string, ProviderClient>();
  const settings: unknown[] = [];
  const several = config.auth.providers.filter(({ clientId }) => clientId !== undefined).length > 1;
  for (const [index, provider] of config.auth.providers.entries()) {
    const { id } = provider;
    if (provider.clientId === undefined) continue;
    const secret = await readClientSecret(provider, index);
    const made = [provider, secret];
    const path = callbackPath(id, several);
    settings.push(made);
    clients.set(
      id,
      keep(`client of ${id}`, [...made, path], () => new ProviderClient(provider, secret, path, deps)),
    );
  }
  return {
    clients,
    settings,
    refresh: async (session) => {
      const client = clients.get(session.provider);
      // Its provider is configured no longer.
      return client === undefined ? { kind: 'refused' } : client.refresh(session);
    },
    stillHas: ({ provider, identity }) => clients.get(provider)?.config.issuer === identity.issuer,
  };
}

/** Everything that people see of signing in and out. */
export function createLogin(config: Config, { clients }: LoginProviders, deps: LoginDependencies): Login {
  const { sessions, signIn } = config.auth;
  const keys = new Map(
    [...clients].map(([id, { config: provider }]) => {
      const { issuer, jwksUri, discoveryUrl } = provider;
      const open = () => new ProviderKeys(provider, deps);
      return [id, deps.keep(`keys for sign-out of ${id}`, [issuer, jwksUri, discoveryUrl], open)];
    }),
  );
  const login: LoginContext = {
    ...deps,
    config,
    providers: clients,
    keysOf: ({ config: { id } }) => keys.get(id) as ProviderKeys,
    attempts: new LoginTransactions(deps.sealing, sessions.cookie, signIn.attemptLifetime, deps.now),
    places: new RequestOrigins(trustedPeers(config.auth), new Origins(config), config.auth.trustedHops),
    returns: new ReturnUrls(config),
  };
  const router = new Router();
  const backChannel = new BackChannelLogout(login);
  router.get(SIGN_IN_PATHS.signIn, (ctx) => beginSignIn(login, ctx));
  router.get(SIGN_IN_PATHS.wrongAddress, (ctx) => showWrongAddress(login, ctx));
  const callbacks = [...clients.values()].map((client) => client.callbackPath);
  for (const path of callbacks) router.get(path, (ctx) => finishSignIn(login, ctx));
  router.get(SIGN_IN_PATHS.signOut, (ctx) => askToSignOut(login, ctx));
  router.post(SIGN_IN_PATHS.signOut, (ctx) => signOut(login, ctx));
  router.get(SIGN_IN_PATHS.signedOut, (ctx) => showEnd(login, ctx));
  router.post(SIGN_IN_PATHS.backChannelLogout, (ctx) => backChannel.handle(ctx));
  router.get(SIGN_IN_PATHS.frontChannelLogout, (ctx) => frontChannelLogout(login, ctx));
  router.get(SIGN_IN_PATHS.home, (ctx) => showHome(login, deps.home, ctx));
  router.post(SIGN_IN_PATHS.home, (ctx) => revokeApplication(login, deps.home, ctx));
  router.get(SIGN_IN_PATHS.me, (ctx) => showMe(login, ctx));
  router.get(SIGN_IN_PATHS.sessions, (ctx) => listSessions(login, ctx));
  router.post(SIGN_IN_PATHS.sessions, (ctx) => endSessions(login, ctx));
  for (const [path, asset] of deps.site.assets) router.get(path, (ctx) => sendAsset(ctx, asset));

  const routes = router.routes() as Koa.Middleware;
  const ours = new Set<string>([...Object.values(SIGN_IN_PATHS), ...callbacks, ...deps.site.assets.keys()]);
  return {
    signIn: clients.size === 0 ? undefined : new SignInUrls(config),
    middleware: async (ctx, next) => {
      // Also for the pages of what follows.
      beginVisit(ctx, deps.site);
      if (!ours.has(ctx.path)) {
        if (clients.size > 0 && isForPerson({ method: ctx.method, headers: fieldsOf(ctx.headers) }))
          // A page without a name is better than none.
          await currentSession(login, ctx).catch(() => undefined);
        return next();
      }
      // A HEAD would spend the code of a callback and begin attempts for link checkers.
      if (ctx.method === 'HEAD') {
        ctx.status = 405;
        return;
      }
      ctx.state.requestId = requestId(ctx.req);
      try {
        await routes(ctx, next);
      } catch (error) {
        showFailure(login, ctx, error);
      }
      // What a page shows leads here.
      if (ctx.status >= 400)
        login.log.info(
          { path: ctx.path, status: ctx.status, requestId: ctx.state.requestId },
          'a sign-in was not served',
        );
    },
  };
}

/** An outage changes nothing in the browser: no cookie is removed, and trying again works. */
function showFailure({ log }: LoginContext, ctx: Koa.Context, error: unknown): void {
  const known = error instanceof PosternError ? error : new PosternError('internal', 'something went wrong');
  log[known.status >= 500 ? 'error' : 'info'](
    {
      error: error instanceof DependencyUnavailable ? failureText(error) : error,
      path: ctx.path,
      requestId: ctx.state.requestId,
    },
    'a sign-in endpoint failed',
  );
  ctx.remove('Set-Cookie');
  const away = known.status === 503;
  showProblem(ctx, {
    status: known.status,
    problem: away ? 'away' : 'failed',
    ...(known.expose && { advice: `${known.message}.` }),
    ...(away && { retryAfter: 5 }),
  });
}

/** The secret of our client at a provider; undefined: it has none. @throws ConfigurationError */
export async function readClientSecret(provider: ProviderConfig, index: number): Promise<string | undefined> {
  const { clientSecret, clientSecretPath } = provider;
  if (clientSecretPath === undefined) return clientSecret;
  try {
    const secret = (await readFile(clientSecretPath, 'utf8')).trim();
    if (secret !== '') return secret;
  } catch (cause) {
    throw new ConfigurationError(
      [`auth.providers[${index}].clientSecretPath: ${unreadable(clientSecretPath, cause)}`],
      cause,
    );
  }
  throw new ConfigurationError([
    `auth.providers[${index}].clientSecretPath: ${clientSecretPath} is empty: write the secret into it`,
  ]);
}
