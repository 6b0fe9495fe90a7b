import { copyDeployment, type RunningProxy, startProxy } from '../../support/deployment.ts';
import { type EchoUpstream, startEchoUpstream } from '../../support/echo-upstream.ts';
import { freePorts } from '../../support/free-port.ts';
import { startPostern } from '../../support/postern-process.ts';
import type { Program } from '../../support/programs.ts';
import { CLIENT, type SignInProvider, startSignInProvider } from '../../support/sign-in-provider.ts';
import type { Alarm } from './alarm.ts';

export interface WatchedChain {
  readonly publicUrl: string;
  readonly ports: {
    readonly edge: number;
    readonly relay: number;
    readonly authInternal: number;
    readonly relayInternal: number;
  };
  readonly provider: SignInProvider;
  /** Of the operator's API of forward-auth. */
  readonly operatorToken: string;
  /** All that both processes have written. */
  logs(): string;
  stop(): Promise<void>;
}

/** The operator of the admin pages, as a browser sends it. */
const OPERATOR = { user: 'operator', password: 'the long password of the admin pages' };
export const OPERATOR_HEADERS = ['Authorization', `Basic ${btoa(`${OPERATOR.user}:${OPERATOR.password}`)}`];

/** Both processes seal with it what they keep in Redis. */
export const WATCH_KEY = Buffer.alloc(32, 5).toString('base64url');

/**
 * Client → real Traefik → relay → MCP server, with forward-auth, people who sign in, API keys, a policy, Redis and a webhook. Users
 * are learnt for a moment only, so that a second network is a new one.
 */
export async function startWatchedChain(traefik: Program, redisUrl: string, alarm: Alarm): Promise<WatchedChain> {
  const [edge, auth, authInternal, relay, relayInternal] = (await freePorts(5)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const ending: Array<() => Promise<unknown>> = [];
  const stop = async () => {
    for (const end of ending) await end();
  };
  try {
    const publicUrl = `http://127.0.0.1:${edge}`;
    const provider = await startSignInProvider([publicUrl]);
    ending.unshift(() => provider.stop());
    const echo: EchoUpstream = await startEchoUpstream();
    ending.unshift(() => echo.stop());
    const operatorToken = 'the token of the operator in the tests of the watch';
    const secretEnv = { POSTERN_RELAY_TRUST_SECRET: 'the secret that Traefik adds for the relay' };
    const deployment = await copyDeployment(
      'traefik',
      {
        '127.0.0.1:8080': `127.0.0.1:${edge}`,
        '127.0.0.1:4180': `127.0.0.1:${auth}`,
        '127.0.0.1:9464': `127.0.0.1:${authInternal}`,
        '127.0.0.1:4444': `127.0.0.1:${relay}`,
        '127.0.0.1:9465': `127.0.0.1:${relayInternal}`,
      },
      secretEnv,
    );
    ending.unshift(() => deployment.remove());
    const env = {
      ...secretEnv,
      POSTERN_REDIS_URL: redisUrl,
      POSTERN_AUTH_PROVIDERS: JSON.stringify([
        { id: 'corp', issuer: provider.issuer, clientId: CLIENT.id, clientSecret: CLIENT.secret },
      ]),
      POSTERN_AUTH_RULES: JSON.stringify([{ match: { path: '/servers/echo/**' }, allow: { groups: ['engineering'] } }]),
      POSTERN_AUTH_API_KEYS_ENABLED: 'true',
      POSTERN_AUTH_OPERATOR_TOKEN: operatorToken,
      POSTERN_RELAY_SERVERS: JSON.stringify({ echo: { url: `http://127.0.0.1:${echo.port}/mcp` } }),
      POSTERN_RELAY_POLICY_RULES: JSON.stringify([
        { effect: 'deny', tools: ['delete_*'] },
        { who: { groups: ['engineering'] }, servers: ['echo'] },
      ]),
      BASIC_AUTH_USER: OPERATOR.user,
      BASIC_AUTH_PASSWORD: OPERATOR.password,
      POSTERN_WATCH_KEY: WATCH_KEY,
      POSTERN_WATCH_DETECTORS_NEW_NETWORK_LEARNING: '0ms',
      POSTERN_WATCH_WEBHOOK_URL: alarm.url,
      POSTERN_WATCH_WEBHOOK_SECRET: alarm.secret,
    };
    const config = `${deployment.folder}/postern.yaml`;
    const authProcess = await startPostern('auth', config, authInternal, env);
    ending.unshift(() => authProcess.stop());
    const relayProcess = await startPostern('relay', config, relayInternal, env);
    ending.unshift(() => relayProcess.stop());
    const proxy: RunningProxy = await startProxy('traefik', traefik, deployment.folder, edge, secretEnv);
    ending.unshift(() => proxy.stop());
    const ports = { edge, relay, authInternal, relayInternal };
    return {
      ...{ publicUrl, ports, provider, operatorToken, stop },
      logs: () => `${authProcess.output}${relayProcess.output}`,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
