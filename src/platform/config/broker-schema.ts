import { z } from 'zod';
import { duration, optionalSection, scope, secretKeys, secrets, size } from './values.ts';

const httpsHost = z.string().regex(/^[a-z0-9.-]+(?::\d{1,5})?$/, 'must be a lower-case host, with a port where needed');

const client = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9._~-]{1,128}$/, 'must be letters, digits and . _ ~ -')
      .meta({ description: '`client_id` of the client' }),
    name: z.string().min(1).optional().meta({ description: 'what people see on the consent page; absent: the id' }),
    ...secretKeys('secret', secrets('absent: a public client, which proves itself by PKCE alone').optional()),
    redirectUris: z
      .array(z.string().min(1))
      .default([])
      .meta({ description: 'exact; only the port of a loopback address may differ (RFC 8252 §7.3)' }),
    clientCredentials: z.boolean().default(false).meta({
      description: 'may get tokens for itself (RFC 6749 §4.4); needs a secret and `broker.clientCredentials`',
    }),
    identityAssertions: z.boolean().default(false).meta({
      description: 'may exchange identity assertions of a provider; needs a secret and `broker.identityAssertions`',
    }),
    scopes: z
      .array(scope)
      .default([])
      .meta({ description: 'most that it gets by client credentials; empty: every scope of the resource' }),
    groups: z
      .array(z.string().min(1))
      .default([])
      .meta({ description: 'groups of the client itself, for rules, when it uses client credentials' }),
  })
  .meta({ description: 'a client that the operator knows' });

/** Of MCP clients that have no reversed domain name. */
const APPLICATION_SCHEMES = [
  'chatgpt',
  'cherrystudio',
  'claude',
  'codex',
  'cursor',
  'goose',
  'jetbrains',
  'kiro',
  'lmstudio',
  'raycast',
  'trae',
  'vscode',
  'vscode-insiders',
  'vscodium',
  'warp',
  'windsurf',
  'zed',
];

const registration = z.strictObject({
  enabled: z.boolean().default(true).meta({ description: 'clients may register themselves (RFC 7591)' }),
  ...secretKeys(
    'initialAccessToken',
    secrets('needed to register, as a bearer token; absent: everybody may').optional(),
  ),
  redirectHosts: z.array(httpsHost).default([]).meta({
    description: 'hosts of https redirects that may be registered, beside loopback addresses; empty: any',
  }),
  customSchemes: z
    .boolean()
    .default(true)
    .meta({ description: 'redirects to applications by a scheme of their own, such as `cursor://`' }),
  applicationSchemes: z
    .array(z.string().regex(/^[a-z][a-z0-9+.-]*$/, 'must be a scheme, such as cursor'))
    .default([...APPLICATION_SCHEMES])
    .meta({
      description: 'those schemes beside reversed domain names such as `com.example.app` (RFC 8252 §7.1)',
    }),
  maxPerAddress: z.int().min(1).default(20).meta({ description: 'registrations of one address in an hour' }),
  maxPerHour: z.int().min(1).default(1_000).meta({ description: 'registrations of everybody in an hour' }),
  maxSize: size('of what a client registers').prefault('16KiB'),
  unusedLifetime: duration('a client that never got a token is forgotten').prefault('24h'),
  idleLifetime: duration('a client that gets no more tokens is forgotten').prefault('90d'),
});

const metadataDocuments = z.strictObject({
  enabled: z.boolean().default(true).meta({ description: 'a client may be named by the https URL of its document' }),
  hosts: z.array(httpsHost).default([]).meta({ description: 'hosts whose documents are read; empty: any public one' }),
  privateHosts: z.array(httpsHost).default([]).meta({
    description: 'hosts that may be inside your network; every other that resolves to such an address is refused',
  }),
  caPath: z.string().min(1).optional().meta({ description: 'further certificate authorities (PEM) for those hosts' }),
  maxSize: size('of a document').prefault('16KiB'),
  minCacheLifetime: duration('shortest time that a document is kept, whatever it says').prefault('1m'),
  maxCacheLifetime: duration('longest').prefault('24h'),
  maxPerAddress: z
    .int()
    .min(1)
    .default(60)
    .meta({ description: 'documents and key sets fetched because of one address in an hour' }),
  maxPerHost: z.int().min(1).default(600).meta({ description: 'of one host in an hour, for all clients together' }),
});

/** Postern as the authorization server of MCP clients. */
export const brokerSchema = optionalSection(
  'be the authorization server of MCP clients, for providers that cannot register them',
  {
    providers: z
      .array(z.string().min(1))
      .default([])
      .meta({ description: 'ids of the providers that people sign in with; empty: all that have a `clientId`' }),
    defaultResource: z.string().min(1).optional().meta({
      description:
        'name of the server that a token is for where a client does not say (`resource`, RFC 8707); absent: the only one',
    }),
    originEndpoints: z.boolean().default(true).meta({
      description:
        'also answer /authorize, /token and /register at the origin of `publicUrl`, for clients of 2025-03-26 that guess',
    }),
    accessTokenLifetime: duration('of an access token').prefault('10m'),
    refreshTokenLifetime: duration('of an unused refresh token; it never outlives the session').prefault('30d'),
    refreshTokenReuseInterval: duration(
      'a used refresh token that comes again so soon gets the same successor, because processes of one client share a token and answers get lost; later it is theft, and the grant ends',
    ).prefault('30s'),
    consentLifetime: duration('consent to a client with an https redirect is not asked for again so soon').prefault(
      '30d',
    ),
    rotate: duration('how often the signing key is replaced').prefault('30d'),
    registration: registration.prefault({}).meta({ description: 'clients that register themselves (RFC 7591)' }),
    metadataDocuments: metadataDocuments
      .prefault({})
      .meta({ description: 'clients named by the URL of their metadata document' }),
    clients: z.array(client).default([]).meta({ description: 'clients that need no registration' }),
    clientCredentials: z
      .boolean()
      .default(false)
      .meta({ description: 'clients of `broker.clients` may get tokens for themselves, for machines' }),
    identityAssertions: z.boolean().default(false).meta({
      description: 'take identity assertions of the providers (ID-JAG), for enterprise-managed authorization',
    }),
    maxRecords: z.int().min(100).default(50_000).meta({
      description: 'codes, grants, refresh tokens and clients in memory where there is no Redis, of each kind',
    }),
    maxBytes: size(
      'of each kind of record, in memory or in Redis; where there are more, those that end soonest are forgotten',
    ).prefault('32MiB'),
  },
);

/** Characters. */
const SHORTEST_SECRET = 24;

type Problem = (path: Array<string | number>, message: string) => void;

/** @param signingIn ids of the providers with a client of ours */
export function checkBroker(
  broker: z.output<typeof brokerSchema>,
  { signingIn, servers }: { readonly signingIn: readonly string[]; readonly servers: readonly string[] },
  problem: Problem,
): void {
  if (!broker.enabled) return;
  if (signingIn.length === 0) problem([], 'needs a provider with a clientId, with which people sign in');
  for (const [index, id] of broker.providers.entries())
    if (!signingIn.includes(id)) problem(['providers', index], `there is no provider "${id}" with a clientId`);
  if (broker.defaultResource !== undefined && !servers.includes(broker.defaultResource))
    problem(['defaultResource'], `there is no server "${broker.defaultResource}" in relay.servers`);
  const { initialAccessToken } = broker.registration;
  if (initialAccessToken?.some((token) => !/^[\w.~+/-]+=*$/.test(token)))
    problem(
      ['registration', 'initialAccessToken'],
      'must be a bearer token (RFC 6750 §2.1): letters, digits and -._~+/',
    );
  for (const [index, known] of broker.clients.entries()) {
    const at = (key: string, message: string) => problem(['clients', index, key], message);
    if (broker.clients.findIndex(({ id }) => id === known.id) !== index) at('id', `"${known.id}" is used twice`);
    if (known.secret === undefined && known.clientCredentials) at('secret', 'needed for client credentials');
    if (known.secret?.some((one) => one.length < SHORTEST_SECRET))
      at('secret', `needs ${SHORTEST_SECRET} characters or more, because anyone can try secrets here`);
    // The id of a public client is known: whoever got hold of a person's assertion could exchange it.
    if (known.secret === undefined && known.identityAssertions) at('secret', 'needed for identity assertions');
    if (known.clientCredentials && !broker.clientCredentials)
      at('clientCredentials', 'set auth.broker.clientCredentials too');
    if (known.identityAssertions && !broker.identityAssertions)
      at('identityAssertions', 'set auth.broker.identityAssertions too');
    if (known.redirectUris.length === 0 && !known.clientCredentials && !known.identityAssertions)
      at('redirectUris', 'needed, because people use this client');
    for (const uri of known.redirectUris)
      if (!URL.canParse(uri) || uri.includes('#')) at('redirectUris', `"${uri}" is not a URL without a fragment`);
  }
}
