import type { Child } from './child.ts';
import { type ConformanceServer, startConformanceServer } from './conformance-server/server.ts';
import { copyDeployment, type DeployedProxy, type RunningProxy, startProxy } from './deployment.ts';
import { freePorts } from './free-port.ts';
import { startPostern } from './postern-process.ts';
import type { Program } from './programs.ts';
import { CLIENT, type SignInProvider, startSignInProvider } from './sign-in-provider.ts';

/** How long an access token lives, in seconds: short, because tests wait for its end. */
export const ACCESS_TOKEN_SECONDS = 10;

const OPERATOR_TOKEN = 'token of the operator in the tests of real clients';

export interface ClientChainOptions {
  /** More environment of both processes. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly server?: Parameters<typeof startConformanceServer>[0];
}

export interface ClientChain {
  readonly publicUrl: string;
  /** The MCP endpoint that clients are told. */
  readonly endpoint: string;
  readonly provider: SignInProvider;
  readonly server: ConformanceServer;
  /** Lines that the authorization server wrote of what it gave and refused. */
  audit(): ReadonlyArray<Readonly<Record<string, unknown>>>;
  logs(): Promise<string>;
  /** Ends every session of a person, as an operator can. @returns how many there were */
  signOut(subject: string): Promise<number>;
  stop(): Promise<void>;
}

/**
 * MCP client → proxy → relay → MCP server, with Postern as the authorization server in front of a provider that cannot
 * register clients: the files of `deploy/<proxy>`. Every call needs `mcp:use`, tools `delete_*` need `mcp:admin`.
 */
export async function startClientChain(
  proxyName: DeployedProxy,
  program: Program,
  { settings = {}, server: eras }: ClientChainOptions = {},
): Promise<ClientChain> {
  const [edge, auth, authInternal, relay, relayInternal, grpc] = (await freePorts(6)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const publicUrl = `http://127.0.0.1:${edge}`;
  const provider = await startSignInProvider([publicUrl]);
  const server = await startConformanceServer(eras);
  const secretEnv = { POSTERN_RELAY_TRUST_SECRET: 'the secret that proxy and relay share' };
  const deployment = await copyDeployment(
    proxyName,
    {
      '127.0.0.1:8080': `127.0.0.1:${edge}`,
      '127.0.0.1:4180': `127.0.0.1:${auth}`,
      '127.0.0.1:9464': `127.0.0.1:${authInternal}`,
      '127.0.0.1:4444': `127.0.0.1:${relay}`,
      '127.0.0.1:9465': `127.0.0.1:${relayInternal}`,
      ...(proxyName === 'envoy-grpc' ? { '127.0.0.1:4181': `127.0.0.1:${grpc}` } : {}),
    },
    secretEnv,
  );
  const env = {
    ...secretEnv,
    POSTERN_LOG_LEVEL: 'debug',
    POSTERN_AUTH_PROVIDERS: JSON.stringify([
      {
        id: 'corp',
        issuer: provider.issuer,
        clientId: CLIENT.id,
        clientSecret: CLIENT.secret,
        scopes: ['openid', 'profile', 'email', 'offline_access'],
      },
    ]),
    POSTERN_AUTH_RULES: JSON.stringify([
      {
        match: { path: '/servers/tools/**' },
        allow: { groups: ['engineering'] },
        scopes: { default: ['mcp:use'], tools: { 'delete_*': ['mcp:admin'] } },
      },
    ]),
    POSTERN_AUTH_OPERATOR_TOKEN: OPERATOR_TOKEN,
    POSTERN_AUTH_HIDDEN_OPERATIONS: 'relay',
    POSTERN_AUTH_BROKER_ENABLED: 'true',
    POSTERN_AUTH_BROKER_ACCESS_TOKEN_LIFETIME: `${ACCESS_TOKEN_SECONDS}s`,
    POSTERN_RELAY_SERVERS: JSON.stringify({ tools: { url: server.url } }),
    ...settings,
  };
  const started: Child[] = [];
  let proxy: RunningProxy | undefined;
  const stop = async () => {
    await proxy?.stop();
    for (const child of started) await child.stop();
    await server.stop();
    await provider.stop();
    await deployment.remove();
  };
  try {
    const config = `${deployment.folder}/postern.yaml`;
    started.push(await startPostern('auth', config, authInternal, env));
    started.push(await startPostern('relay', config, relayInternal, env));
    proxy = await startProxy(proxyName, program, deployment.folder, edge, secretEnv);
  } catch (error) {
    await stop();
    throw error;
  }
  const running = proxy;
  return {
    publicUrl,
    endpoint: `${publicUrl}/servers/tools/mcp`,
    provider,
    server,
    audit: () =>
      started
        .flatMap((child) => child.output.split('\n'))
        .filter((line) => line.includes('"audit"'))
        .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>),
    logs: async () => started.map((child) => child.output).join('\n') + (await running.output()),
    signOut: async (subject) => {
      const query = new URLSearchParams({ issuer: provider.issuer, subject });
      const answer = await fetch(`http://127.0.0.1:${authInternal}/sessions?${query}`, {
        method: 'DELETE',
        headers: { Authorization: `Bearer ${OPERATOR_TOKEN}` },
      });
      return ((await answer.json()) as { ended: number }).ended;
    },
    stop,
  };
}
