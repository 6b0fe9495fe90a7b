import type { Child } from './child.ts';
import { copyDeployment, type DeployedProxy, type RunningProxy, startProxy, validateDeployment } from './deployment.ts';
import { startEchoUpstream } from './echo-upstream.ts';
import { startEverythingServer } from './everything-server.ts';
import { freePorts } from './free-port.ts';
import { type LiveUpstream, startLiveUpstream } from './live-upstream.ts';
import { startOpenIdProvider } from './openid-provider.ts';
import { startPostern } from './postern-process.ts';
import type { Program } from './programs.ts';

const SECRET = 'the secret that proxy and relay share';

export type Chain = Awaited<ReturnType<typeof startChain>>;

/**
 * Client → proxy → relay → MCP servers, with forward-auth and an OpenID provider, all as in `deploy/<proxy>`: the same
 * files, with other ports and a few more rules and servers from the environment.
 *
 * @param settings more environment of both processes
 * @param prepare changes the proxy's own files before it starts
 */
export async function startChain(
  proxyName: DeployedProxy,
  program: Program,
  settings: Record<string, string> = {},
  prepare: (folder: string) => Promise<void> = async () => {},
) {
  const provider = await startOpenIdProvider();
  const echo = await startEchoUpstream();
  const [edge, auth, authInternal, relay, relayInternal, everything, grpc, liveEdge] = (await freePorts(8)) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const addresses = {
    '127.0.0.1:8080': `127.0.0.1:${edge}`,
    '127.0.0.1:4180': `127.0.0.1:${auth}`,
    '127.0.0.1:9464': `127.0.0.1:${authInternal}`,
    '127.0.0.1:4444': `127.0.0.1:${relay}`,
    '127.0.0.1:9465': `127.0.0.1:${relayInternal}`,
    '127.0.0.1:4192': new URL(provider.issuer).host,
    '127.0.0.1:4191': `127.0.0.1:${everything}`,
    ...(proxyName === 'envoy-grpc' ? { '127.0.0.1:4181': `127.0.0.1:${grpc}` } : {}),
  };
  const secretEnv = { POSTERN_RELAY_TRUST_SECRET: SECRET };
  const deployment = await copyDeployment(proxyName, addresses, secretEnv);
  const config = `${deployment.folder}/postern.yaml`;
  const env = {
    ...secretEnv,
    POSTERN_LOG_LEVEL: 'debug',
    POSTERN_AUTH_RULES: JSON.stringify([
      { match: { path: '/servers/everything/**' }, allow: { groups: ['engineering'] } },
      { match: { path: '/servers/echo/**' }, allow: { groups: ['engineering'] } },
      { match: { path: '/public/**' }, public: true },
      { match: { path: '/area/**', context: { area: 'mcp' } }, public: true },
      { match: { path: '/app/**' }, allow: { groups: ['engineering'] } },
      { match: { path: '/admin/**' }, allow: { groups: ['admins'] } },
    ]),
    POSTERN_RELAY_SERVERS: JSON.stringify({
      everything: { url: `http://127.0.0.1:${everything}/mcp` },
      // It answers whatever comes, as no real server does.
      echo: { url: `http://127.0.0.1:${echo.port}/mcp`, era: 'both' },
    }),
    ...settings,
  };
  const started: Child[] = [];
  const keep = (child: Child) => {
    started.push(child);
    return child;
  };
  const startEverything = async () => keep(await startEverythingServer(everything));
  const startAuth = async () => keep(await startPostern('auth', config, authInternal, env));

  const stopAll = async () => {
    await proxy?.stop();
    await front?.proxy.stop();
    await front?.upstream.stop();
    await front?.remove();
    for (const child of started) await child.stop();
    await echo.stop();
    await provider.stop();
    await deployment.remove();
  };

  let proxy: RunningProxy | undefined;
  let front: { proxy: RunningProxy; upstream: LiveUpstream; remove(): Promise<void> } | undefined;
  const running = {} as { everything: Child; auth: Child; relay: Child };
  try {
    running.everything = await startEverything();
    running.auth = await startAuth();
    running.relay = keep(await startPostern('relay', config, relayInternal, env));
    await prepare(deployment.folder);
    proxy = await startProxy(proxyName, program, deployment.folder, edge, secretEnv);
  } catch (error) {
    await stopAll();
    throw error;
  }
  const edgeProxy = proxy;
  const publicUrl = `http://127.0.0.1:${edge}`;
  return {
    provider,
    echo,
    running,
    ports: { edge, auth, relay },
    /** What the proxy itself says of its configuration. */
    validate: () => validateDeployment(proxyName, program, deployment.folder),
    /** A second proxy by the same files, with a program of the test in the relay's place. */
    async openFront(): Promise<{ port: number; upstream: LiveUpstream }> {
      const upstream = await startLiveUpstream();
      const copy = await copyDeployment(
        proxyName,
        { ...addresses, '127.0.0.1:8080': `127.0.0.1:${liveEdge}`, '127.0.0.1:4444': `127.0.0.1:${upstream.port}` },
        secretEnv,
      );
      const second = await startProxy(proxyName, program, copy.folder, liveEdge, secretEnv);
      front = { proxy: second, upstream, remove: copy.remove };
      return { port: liveEdge, upstream };
    },
    secret: SECRET,
    endpoint: (server: string) => `${publicUrl}/servers/${server}/mcp`,
    /** A token of the provider for one server, named as its metadata names it. */
    async token(user: string, server: string): Promise<string> {
      const answer = await fetch(`${publicUrl}/.well-known/oauth-protected-resource/servers/${server}/mcp`);
      const { resource } = (await answer.json()) as { resource: string };
      return provider.token(user, resource);
    },
    restartEverything: async () => {
      running.everything = await startEverything();
    },
    restartAuth: async () => {
      running.auth = await startAuth();
    },
    /** What every process of the chain has written so far. */
    logs: async () =>
      started.map((child) => child.output).join('\n') +
      (await edgeProxy.output()) +
      ((await front?.proxy.output()) ?? ''),
    stop: stopAll,
  };
}
