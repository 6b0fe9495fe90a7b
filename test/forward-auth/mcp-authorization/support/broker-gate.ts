import { startForwardAuth } from '../../../../src/forward-auth/server.ts';
import { parseConfig } from '../../../../src/platform/config/load.ts';
import { createLogger } from '../../../../src/platform/log.ts';
import { freePorts } from '../../../support/free-port.ts';
import type { HttpPerson, Visited } from '../../../support/http-person.ts';
import {
  CLIENT,
  type SignInProvider,
  type SignInProviderOptions,
  startSignInProvider,
} from '../../../support/sign-in-provider.ts';

export const OPERATOR_TOKEN = 'token of the operator in the tests of the broker';

export interface AuditLine {
  readonly audit?: string;
  readonly [key: string]: unknown;
}

/** Forward-auth with the broker on, in this process, asked directly in the place of a proxy. */
export interface BrokerGate {
  readonly issuer: string;
  readonly internal: string;
  readonly provider: SignInProvider;
  /** Address of a server's resource. */
  resource(server: string): string;
  /** Moves the clock. */
  pass(milliseconds: number): void;
  /** Goes on with other settings. */
  reload(auth: object): Promise<void>;
  log(): string;
  audit(): AuditLine[];
  /** Asks as Traefik does whether a request to a server may pass. */
  check(server: string, token: string, method?: string): Promise<Response>;
  stop(): Promise<void>;
}

export interface BrokerGateSettings {
  readonly broker?: object;
  readonly auth?: object;
  readonly servers?: readonly string[];
  /** All servers as one too. */
  readonly aggregate?: boolean;
  readonly redis?: object;
  readonly provider?: SignInProviderOptions;
  /** Where it listens; absent: anywhere. */
  readonly port?: number;
  /** Of another gate, for a replica. */
  readonly like?: { readonly publicUrl: string; readonly provider: SignInProvider };
}

export async function openBrokerGate(settings: BrokerGateSettings = {}): Promise<BrokerGate> {
  const [free, internalPort] = (await freePorts(2)) as [number, number];
  const port = settings.port ?? free;
  const own = `http://127.0.0.1:${port}`;
  const publicUrl = settings.like?.publicUrl ?? own;
  const provider = settings.like?.provider ?? (await startSignInProvider([publicUrl], settings.provider));
  const servers = settings.servers ?? ['github', 'files'];
  const configured = (auth: object = {}) =>
    parseConfig({
      publicUrl,
      drain: '1s',
      auth: {
        listen: `127.0.0.1:${port}`,
        internalListen: `127.0.0.1:${internalPort}`,
        operatorToken: OPERATOR_TOKEN,
        providers: [
          {
            id: 'corp',
            issuer: provider.issuer,
            clientId: CLIENT.id,
            clientSecret: CLIENT.secret,
            scopes: ['openid', 'profile', 'email', 'offline_access'],
          },
        ],
        rules: [
          {
            match: { path: settings.aggregate === true ? '/**' : '/servers/**' },
            allow: { groups: ['engineering'] },
            scopes: { default: ['mcp:use'], tools: { 'delete_*': ['mcp:admin'] } },
          },
        ],
        scopeHierarchy: { 'mcp:admin': ['mcp:use'] },
        broker: { enabled: true, ...settings.broker },
        ...settings.auth,
        ...auth,
      },
      relay: {
        servers: Object.fromEntries(servers.map((name) => [name, { url: 'http://127.0.0.1:9/mcp' }])),
        ...(settings.aggregate === true && { aggregate: { servers } }),
      },
      ...(settings.redis === undefined ? {} : { redis: settings.redis }),
    });
  const config = configured();
  let written = '';
  const log = createLogger('auth', 'debug', {
    write: (line: string) => {
      written += line;
    },
  });
  let shift = 0;
  const running = await startForwardAuth(config, { log, now: () => Date.now() + shift });
  return {
    issuer: own,
    internal: `http://127.0.0.1:${running.internalPort}`,
    provider,
    resource: (server) => `${publicUrl}/servers/${server}/mcp`,
    pass: (milliseconds) => {
      shift += milliseconds;
    },
    log: () => written,
    audit: () =>
      written
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as AuditLine)
        .filter((line) => line.audit !== undefined),
    check: (server, token, method = 'POST') =>
      fetch(`${own}/verify/traefik`, {
        headers: {
          'X-Forwarded-Method': method,
          'X-Forwarded-Uri': `/servers/${server}/mcp`,
          'X-Forwarded-Host': new URL(publicUrl).host,
          'X-Forwarded-Proto': 'http',
          'X-Forwarded-For': '203.0.113.7',
          'MCP-Protocol-Version': '2026-07-28',
          'Mcp-Method': 'ping',
          Authorization: `Bearer ${token}`,
        },
      }),
    reload: (auth) => running.reload(() => ({ config: configured(auth), warnings: [] })),
    stop: async () => {
      await running.close();
      if (settings.like === undefined) await provider.stop();
    },
  };
}

/** Opens an authorization URL in a browser, signs in where that is asked, and answers the consent page. */
export async function authorizeAs(
  person: HttpPerson,
  url: string | URL,
  { user = 'alice', decision = 'allow' }: { readonly user?: string; readonly decision?: 'allow' | 'deny' } = {},
): Promise<Visited> {
  let page = await person.visit(url);
  if (/^\/interaction\//.test(page.url.pathname)) page = await person.submit(page, { user, do: 'go' });
  return /\/_postern\/oauth\/interaction\//.test(page.url.pathname) && page.status === 200
    ? person.submit(page, { decision })
    : page;
}
