import type { Identity } from '../../../../src/identity/identity.ts';
import type { TrustPreset } from '../../../../src/platform/config/trust-presets.ts';
import { type Algorithm, type Json, jwks, type Keys, keyServer, makeKeys, seconds, signToken } from './token-signer.ts';

/** Names and values in turn. */
export type Headers = readonly string[];

/** What a product whose word is a signed token needs to be played by a test. */
export interface SignedSystem {
  readonly keys: Keys;
  readonly claims: Json;
  readonly header: Json;
  readonly padded: boolean;
  /** How the token travels. */
  readonly carry: (token: string) => Headers;
  /** A plain header that may only agree, and the value of another person; absent: there is none. */
  readonly beside: { readonly genuine: Headers; readonly other: Headers } | undefined;
  /** Header members or claims of another team, application, load balancer. */
  readonly foreign: ReadonlyArray<{ readonly what: string; readonly claims?: Json; readonly header?: Json }>;
  readonly sourceAway: () => void;
}

/** One product, with what it sends. */
export interface System {
  readonly trust: object;
  readonly genuine: ReadonlyArray<{
    readonly what: string;
    readonly headers: Headers;
    readonly identity: Partial<Identity>;
  }>;
  /** The header that says who it is, and how a user, groups and an encoded control character would be written there. */
  readonly user: string;
  readonly withGroups: ((groups: readonly string[]) => Headers) | undefined;
  readonly withControl: Headers | undefined;
  readonly signed: SignedSystem | undefined;
}

export const SECRET = 'a-secret-between-proxy-and-relay';
const ALICE = { subject: 'alice', email: 'alice@example.com', name: 'Alice Ä', groups: ['dev', 'ops'] };
/** UTF-8 as Node's client writes it into a header. */
const NAME = Buffer.from(ALICE.name, 'utf8').toString('latin1');
const many = (name: string, user: string) => (groups: readonly string[], delimiter: string) => [
  ...[user, 'alice'],
  ...[name, groups.join(delimiter)],
];

function plain(
  trust: object,
  names: { user: string; email?: string; name?: string; groups?: string },
  delimiter = ',',
): System {
  const { user, email, name, groups } = names;
  return {
    trust,
    genuine: [
      {
        what: 'all it sends',
        headers: [
          ...[user, 'alice'],
          ...(email === undefined ? [] : [email, ALICE.email]),
          ...(name === undefined ? [] : [name, NAME]),
          ...(groups === undefined ? [] : [groups, ALICE.groups.join(delimiter)]),
        ],
        identity: {
          subject: 'alice',
          email: email === undefined ? '' : ALICE.email,
          name: name === undefined ? '' : ALICE.name,
          groups: groups === undefined ? [] : ALICE.groups,
        },
      },
      { what: 'the user alone', headers: [user, 'alice'], identity: { subject: 'alice', email: '', groups: [] } },
    ],
    user,
    withGroups: groups === undefined ? undefined : (list) => many(groups, user)(list, delimiter),
    withControl: undefined,
    signed: undefined,
  };
}

interface TokenSystem {
  readonly preset: TrustPreset;
  readonly alg: Algorithm;
  readonly header: string;
  readonly carry?: SignedSystem['carry'];
  readonly token: (url: string) => object;
  readonly claims: Json;
  readonly subject?: string;
  readonly head?: Json;
  readonly padded?: boolean;
  readonly beside?: SignedSystem['beside'];
  readonly foreign: SignedSystem['foreign'];
}

async function token(system: TokenSystem): Promise<System> {
  const keys = makeKeys(system.alg);
  const server = await keyServer((path) => (path.startsWith('/pem/') ? pem(keys, path) : jwks(keys)));
  const { header, carry = (jwt) => [header, jwt], head = {}, padded = false } = system;
  const claims: Json = { iat: seconds(-5), exp: seconds(300), ...system.claims };
  const make = (more: Json = {}) => carry(signToken(keys, { ...claims, ...more }, head, padded));
  return {
    trust: { preset: system.preset, token: system.token(server.url) },
    genuine: [
      {
        what: 'the token alone',
        headers: make(),
        identity: { subject: system.subject ?? String(claims.sub), email: ALICE.email, groups: ALICE.groups },
      },
      ...(system.beside === undefined
        ? []
        : [
            {
              what: 'the token with the plain header beside it',
              headers: [...make(), ...system.beside.genuine],
              identity: { subject: system.subject ?? String(claims.sub) },
            },
          ]),
    ],
    user: header,
    withGroups: (groups) => make({ groups }),
    withControl: make({ sub: 'ali\nce' }),
    signed: {
      keys,
      claims,
      header: head,
      padded,
      carry,
      beside: system.beside,
      foreign: system.foreign,
      sourceAway: () => {
        server.answer = () => undefined;
      },
    },
  };
}

function pem(keys: Keys, path: string): string {
  return path.endsWith(keys.kid) ? String(keys.publicKey.export({ type: 'spki', format: 'pem' })) : '';
}

const PERSON = { email: ALICE.email, name: ALICE.name, groups: ALICE.groups };
const TEAM = 'https://corp.cloudflareaccess.com';
const TAG = '4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2';
const ARN = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/mcp/1234567890abcdef';
const BACKEND = '/projects/123456789/global/backendServices/987654321';
const DEX = 'https://dex.example.com';
const AUTHENTIK = 'https://authentik.example.com/application/o/mcp/';

/** Every preset, as its product documents what it sends. */
export const SYSTEMS: Readonly<Record<TrustPreset, () => Promise<System>>> = {
  postern: async () => ({
    ...plain({}, { user: 'X-Authenticated-User', email: 'X-Authenticated-Email', groups: 'X-Authenticated-Groups' }),
    withControl: ['X-Authenticated-User', 'ali%0Ace'],
  }),
  headers: async () =>
    plain(
      { preset: 'headers', userHeader: 'X-Corp-User', headers: { groups: 'X-Corp-Groups', groupsDelimiter: ';' } },
      { user: 'X-Corp-User', groups: 'X-Corp-Groups' },
      ';',
    ),
  'oauth2-proxy': async () => {
    const names = (prefix: string) => ({
      user: `${prefix}-User`,
      email: `${prefix}-Email`,
      name: `${prefix}-Preferred-Username`,
      groups: `${prefix}-Groups`,
    });
    const forwardAuth = plain({ preset: 'oauth2-proxy' }, names('X-Auth-Request'));
    const reverseProxy = plain({ preset: 'oauth2-proxy' }, names('X-Forwarded'));
    return { ...forwardAuth, genuine: [...forwardAuth.genuine, ...reverseProxy.genuine] };
  },
  authelia: async () =>
    plain(
      { preset: 'authelia' },
      { user: 'Remote-User', email: 'Remote-Email', name: 'Remote-Name', groups: 'Remote-Groups' },
    ),
  traefik: async () =>
    plain(
      { preset: 'traefik', headers: { email: 'X-Forwarded-Email', groups: 'X-Forwarded-Groups' } },
      { user: 'X-Forwarded-User', email: 'X-Forwarded-Email', groups: 'X-Forwarded-Groups' },
    ),
  istio: async () =>
    plain(
      { preset: 'istio', headers: { email: 'X-User-Email', groups: 'X-User-Groups' } },
      { user: 'X-User-Id', email: 'X-User-Email', groups: 'X-User-Groups' },
    ),
  'aws-api-gateway': async () =>
    plain(
      {
        preset: 'aws-api-gateway',
        secret: SECRET,
        headers: { email: 'X-Authenticated-Email', groups: 'X-Authenticated-Groups' },
      },
      { user: 'X-Authenticated-User', email: 'X-Authenticated-Email', groups: 'X-Authenticated-Groups' },
    ),
  authentik: async () =>
    plain(
      { preset: 'authentik' },
      {
        user: 'X-authentik-username',
        email: 'X-authentik-email',
        name: 'X-authentik-name',
        groups: 'X-authentik-groups',
      },
      '|',
    ),
  tailscale: async () => {
    const word = (text: string) =>
      `=?utf-8?q?${[...Buffer.from(text)].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join('')}?=`;
    return {
      trust: { preset: 'tailscale' },
      genuine: [
        {
          what: 'login and encoded name',
          headers: ['Tailscale-User-Login', ALICE.email, 'Tailscale-User-Name', word(ALICE.name)],
          identity: { subject: ALICE.email, email: ALICE.email, name: ALICE.name },
        },
      ],
      user: 'Tailscale-User-Login',
      withGroups: undefined,
      withControl: ['Tailscale-User-Login', word('ali\nce')],
      signed: undefined,
    };
  },
  hyprmcp: () =>
    token({
      preset: 'hyprmcp',
      alg: 'RS256',
      header: 'Authorization',
      carry: (jwt) => ['Authorization', `Bearer ${jwt}`],
      token: (url) => ({ issuer: DEX, audiences: ['mcp-client'], jwksUrl: `${url}/keys` }),
      claims: { iss: DEX, aud: 'mcp-client', sub: 'CgVhbGljZRIFbG9jYWw', email_verified: true, ...PERSON },
      foreign: [
        { what: 'another issuer', claims: { iss: 'https://dex.example.org' } },
        { what: 'another client', claims: { aud: 'grafana' } },
        { what: 'no audience', claims: { aud: undefined } },
      ],
    }),
  'cloudflare-access': () =>
    token({
      preset: 'cloudflare-access',
      alg: 'RS256',
      header: 'Cf-Access-Jwt-Assertion',
      token: (url) => ({ issuer: TEAM, audiences: [TAG], jwksUrl: `${url}/cdn-cgi/access/certs` }),
      claims: { iss: TEAM, aud: [TAG], type: 'app', sub: '7335d417-61da-459d-899c-0a01c76a2f94', ...PERSON },
      beside: {
        genuine: ['Cf-Access-Authenticated-User-Email', ALICE.email],
        other: ['Cf-Access-Authenticated-User-Email', 'admin@example.com'],
      },
      foreign: [
        { what: 'another team', claims: { iss: 'https://other.cloudflareaccess.com' } },
        { what: 'another application', claims: { aud: ['0'.repeat(64)] } },
        { what: 'no audience', claims: { aud: undefined } },
      ],
    }),
  'aws-alb': () =>
    token({
      preset: 'aws-alb',
      alg: 'ES256',
      header: 'X-Amzn-Oidc-Data',
      padded: true,
      head: { signer: ARN, client: 'mcp-client', iss: 'https://idp.example.com', exp: seconds(120) },
      token: (url) => ({ signers: [ARN], audiences: ['mcp-client'], keysUrl: `${url}/pem/{kid}` }),
      claims: { sub: 'alice-at-idp', exp: undefined, ...PERSON },
      beside: { genuine: ['X-Amzn-Oidc-Identity', 'alice-at-idp'], other: ['X-Amzn-Oidc-Identity', 'admin'] },
      foreign: [
        { what: 'another load balancer', header: { signer: ARN.replace('123456789012', '999999999999') } },
        { what: 'no signer', header: { signer: undefined } },
        { what: 'another client', header: { client: 'other-client' } },
      ],
    }),
  'google-iap': () =>
    token({
      preset: 'google-iap',
      alg: 'ES256',
      header: 'X-Goog-Iap-Jwt-Assertion',
      token: (url) => ({ audiences: [BACKEND], jwksUrl: `${url}/public_key-jwk` }),
      claims: { iss: 'https://cloud.google.com/iap', aud: BACKEND, sub: 'accounts.google.com:1122', ...PERSON },
      beside: {
        genuine: ['X-Goog-Authenticated-User-Email', `accounts.google.com:${ALICE.email}`],
        other: ['X-Goog-Authenticated-User-Email', 'accounts.google.com:admin@example.com'],
      },
      foreign: [
        { what: 'another backend', claims: { aud: '/projects/1/global/backendServices/2' } },
        { what: 'another issuer', claims: { iss: 'https://accounts.google.com' } },
      ],
    }),
  pomerium: () =>
    token({
      preset: 'pomerium',
      alg: 'ES256',
      header: 'X-Pomerium-Jwt-Assertion',
      token: (url) => ({ audiences: ['mcp.example.com'], jwksUrl: `${url}/.well-known/pomerium/jwks.json` }),
      claims: { iss: 'mcp.example.com', aud: 'mcp.example.com', sub: 'alice-id', ...PERSON },
      beside: {
        genuine: ['X-Pomerium-Claim-Email', ALICE.email],
        other: ['X-Pomerium-Claim-Email', 'admin@example.com'],
      },
      foreign: [
        { what: 'another route', claims: { aud: 'grafana.example.com', iss: 'grafana.example.com' } },
        { what: 'another issuer', claims: { iss: 'grafana.example.com' } },
      ],
    }),
};

/** authentik with its token, beside the plain one of the table. */
export function authentikSigned(): Promise<System> {
  return token({
    preset: 'authentik',
    alg: 'RS256',
    header: 'X-authentik-jwt',
    token: (url) => ({ issuer: AUTHENTIK, audiences: ['client-id'], jwksUrl: `${url}/jwks/` }),
    claims: { iss: AUTHENTIK, aud: 'client-id', sub: 'hashed-user-id', preferred_username: 'alice', ...PERSON },
    beside: { genuine: ['X-authentik-username', 'alice'], other: ['X-authentik-username', 'akadmin'] },
    foreign: [
      { what: 'another application', claims: { aud: 'other' } },
      { what: 'another issuer', claims: { iss: 'https://authentik.example.com/application/o/other/' } },
    ],
  });
}
