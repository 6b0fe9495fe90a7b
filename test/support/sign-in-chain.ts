import { SIGN_IN_PATHS } from '../../src/forward-auth/decision/own-endpoints.ts';
import type { Child } from './child.ts';
import { copyDeployment, type RunningProxy, startProxy } from './deployment.ts';
import { freePorts } from './free-port.ts';
import { startPostern } from './postern-process.ts';
import type { Program } from './programs.ts';
import { CLIENT, type SignInProvider, startSignInProvider } from './sign-in-provider.ts';
import { startWebApp, type WebApp } from './web-app.ts';

export interface SignInChain {
  readonly publicUrl: string;
  readonly app: WebApp;
  readonly corp: SignInProvider;
  readonly partner: SignInProvider;
  readonly logs: () => Promise<string>;
  stop(): Promise<void>;
}

/**
 * Browser → Traefik → a web application, with forward-auth and two OpenID providers: the files of `deploy/traefik`, with a
 * web application in the place of the relay.
 *
 * The providers are at `127.0.0.1`: with another `host` they are on another site than what they sign in to.
 *
 * `/open` is public, `/app` is for people of `corp`, `/both` for those of either provider.
 */
export async function startSignInChain(
  traefikProgram: Program,
  { host = '127.0.0.1', env: more = {} }: { host?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<SignInChain> {
  const [edge, auth, authInternal] = (await freePorts(3)) as [number, number, number];
  const publicUrl = `http://${host}:${edge}`;
  const app = await startWebApp();
  const callback = (id: string) => `${SIGN_IN_PATHS.callback}/${id}`;
  const corp = await startSignInProvider([publicUrl], { callback: callback('corp') });
  const partner = await startSignInProvider([publicUrl], { name: 'partner', callback: callback('partner') });
  const secretEnv = { POSTERN_RELAY_TRUST_SECRET: 'the secret that Traefik adds for the relay' };
  const addresses = {
    '127.0.0.1:8080': `127.0.0.1:${edge}`,
    '127.0.0.1:4180': `127.0.0.1:${auth}`,
    '127.0.0.1:9464': `127.0.0.1:${authInternal}`,
    '127.0.0.1:4444': `127.0.0.1:${app.port}`,
  };
  const deployment = await copyDeployment('traefik', addresses, secretEnv);
  const provider = (id: string, name: string, { issuer }: SignInProvider) => ({
    id,
    name,
    issuer,
    clientId: CLIENT.id,
    clientSecret: CLIENT.secret,
    scopes: ['openid', 'profile', 'email', 'offline_access'],
  });
  const env = {
    ...secretEnv,
    POSTERN_LOG_LEVEL: 'debug',
    POSTERN_AUTH_PROVIDERS: JSON.stringify([
      provider('corp', 'Example Corp', corp),
      provider('partner', 'Partner & Söhne', partner),
    ]),
    POSTERN_AUTH_RULES: JSON.stringify([
      { match: { path: '/open/**' }, public: true },
      { match: { path: '/favicon.ico' }, public: true },
      {
        match: { path: '/app/**' },
        allow: { groups: ['engineering'], providers: ['corp'] },
        signIn: { providers: ['corp'] },
      },
      { match: { path: '/both/**' }, allow: { groups: ['engineering'], providers: ['corp', 'partner'] } },
    ]),
    // A cookie is renewed when a twentieth of this is over.
    POSTERN_AUTH_SESSIONS_IDLE_TIMEOUT: '60s',
    ...(host === '127.0.0.1' ? {} : { POSTERN_PUBLIC_URL: publicUrl }),
    ...more,
  };
  let forwardAuth: Child | undefined;
  let traefik: RunningProxy | undefined;
  const stop = async () => {
    await traefik?.stop();
    await forwardAuth?.stop();
    await app.stop();
    await corp.stop();
    await partner.stop();
    await deployment.remove();
  };
  try {
    forwardAuth = await startPostern('auth', `${deployment.folder}/postern.yaml`, authInternal, env);
    traefik = await startProxy('traefik', traefikProgram, deployment.folder, edge, secretEnv);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    publicUrl,
    app,
    corp,
    partner,
    logs: async () => `${forwardAuth?.output}${await traefik?.output()}`,
    stop,
  };
}
