import { GUIDE_VARIABLES } from '../platform/config/environment.ts';
import { isRecord } from '../platform/is-record.ts';
import { BROWSER_CLIENT } from './development-idp.ts';

/** Addresses that are known once the quickstart's own parts listen. */
export interface QuickstartAddresses {
  readonly publicUrl: string;
  readonly issuer: string;
  readonly exampleUrl: string;
  readonly clockUrl: string;
  readonly forwardAuthPort: number;
  readonly forwardAuthInternalPort: number;
  readonly relayPort: number;
  readonly relayInternalPort: number;
  /** Base URL of forward-auth; absent while it has not started. The relay fetches the assertion keys there. */
  readonly forwardAuthUrl: string | undefined;
}

type Section = Readonly<Record<string, unknown>>;

/**
 * The configuration of both processes, in the file's shape. What makes the parts find and trust each other is fixed; rules
 * and servers are the example's unless the user brought their own, and everything else is the user's.
 *
 * @param user what file and environment say, unparsed
 * @param secrets shared by the edge and the relay, and by the admin pages and forward-auth
 * @param live whether decisions are read from standard output
 */
export function quickstartConfiguration(
  user: unknown,
  addresses: QuickstartAddresses,
  secrets: { readonly proxy: string; readonly operator: string },
  live = false,
): object {
  const given = section(user);
  const auth = section(given.auth);
  const relay = section(given.relay);
  const rules = Array.isArray(auth.rules)
    ? auth.rules
    : serverRules(Object.keys(section(relay.servers ?? EXAMPLE_SERVERS)));
  const providers = [
    { ...DEVELOPMENT_PROVIDER, issuer: addresses.issuer },
    ...(Array.isArray(auth.providers) ? auth.providers : []),
  ];
  return {
    drain: '2s',
    ...given,
    publicUrl: addresses.publicUrl,
    log: { level: 'warn', ...section(given.log) },
    ...(live && { audit: { ...section(given.audit), stdout: true } }),
    auth: {
      scopeHierarchy: { 'mcp:admin': ['mcp:use'] },
      ...auth,
      rules: [...(providers.length > 1 ? rules.map((rule) => forEverybody(rule, providers)) : rules), ADMIN_RULE],
      operatorToken: secrets.operator,
      listen: `127.0.0.1:${addresses.forwardAuthPort}`,
      internalListen: `127.0.0.1:${addresses.forwardAuthInternalPort}`,
      trustedProxies: ['127.0.0.1/32'],
      providers,
    },
    relay: {
      ...(relay.servers === undefined && exampleServers(addresses)),
      ...relay,
      admin: {
        groups: [ADMINS],
        forwardAuth: { url: `http://127.0.0.1:${addresses.forwardAuthInternalPort}`, token: secrets.operator },
        ...section(relay.admin),
      },
      listen: `127.0.0.1:${addresses.relayPort}`,
      internalListen: `127.0.0.1:${addresses.relayInternalPort}`,
      trust: {
        proxies: ['127.0.0.1/32'],
        secret: secrets.proxy,
        ...(addresses.forwardAuthUrl === undefined
          ? {}
          : { assertion: { jwksUrl: `${addresses.forwardAuthUrl}/_postern/jwks.json` } }),
      },
    },
  };
}

/** What the user says, to be checked: without a provider of their own people sign in with the development accounts. */
export function withProvider(user: unknown): object {
  const given = section(user);
  const auth = section(given.auth);
  if (auth.providers !== undefined) return given;
  return { ...given, auth: { ...auth, providers: [{ ...DEVELOPMENT_PROVIDER, issuer: 'http://127.0.0.1' }] } };
}

const DEVELOPMENT_PROVIDER = {
  id: 'development',
  name: 'Development accounts',
  clientId: BROWSER_CLIENT,
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups', 'mcp:use'],
};

const ADMINS = 'admins';
const ADMIN_RULE = {
  match: { path: '/admin/**' },
  allow: { groups: [ADMINS], providers: [DEVELOPMENT_PROVIDER.id] },
};
const EXAMPLE_SERVERS = { example: undefined, clock: undefined };

/** Each server and all as one, for the group `engineering`. */
function serverRules(names: readonly string[]): readonly object[] {
  return [...names.map((name) => `/servers/${name}/**`), '/mcp', '/sse', '/messages', '/ws'].map((path) => ({
    match: { path },
    allow: { groups: ['engineering'] },
    scopes: { default: ['mcp:use'] },
  }));
}

/** Beside the development accounts a rule of one provider has to say whose groups are meant: here those of the same names of each. */
function forEverybody(rule: unknown, providers: ReadonlyArray<{ readonly id?: unknown }>): unknown {
  const allow = section(section(rule).allow);
  if (Object.keys(allow).length === 0 || allow.providers !== undefined) return rule;
  return { ...section(rule), allow: { ...allow, providers: providers.map(({ id }) => id) } };
}

/** Whether the user asks for the audit log on standard output. */
export function wantsAuditOutput(user: unknown): boolean {
  return section(section(user).audit).stdout === true;
}

/** Both by themselves, and as one. */
function exampleServers({ exampleUrl, clockUrl }: QuickstartAddresses): Section {
  return {
    servers: { example: { url: exampleUrl }, clock: { url: clockUrl } },
    aggregate: { servers: ['example', 'clock'] },
    policy: { rules: [{ who: 'anyone-signed-in' }] },
  };
}

/** The environment without our settings: the generated file holds them already, and the environment would win over it. */
export function environmentWithoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = new Set([...Object.keys(GUIDE_VARIABLES), 'HOST', 'PORT', 'DATABASE_URL', 'JWT_PRIVATE_KEY_PATH']);
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !name.startsWith('POSTERN_') && !ours.has(name) && !ours.has(name.replace(/_FILE$/, '')),
    ),
  );
}

function section(value: unknown): Section {
  return isRecord(value) ? value : {};
}
