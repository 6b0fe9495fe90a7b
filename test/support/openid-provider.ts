import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, type JWTPayload, SignJWT } from 'jose';
import Provider from 'oidc-provider';
import { rsaKeys } from './rsa-keys.ts';

/**
 * Each user of the tests has a client of their own, because client credentials are the grant that needs no browser; the tokens name
 * the person as their subject.
 */
const USERS: Readonly<Record<string, readonly string[]>> = {
  alice: ['engineering'],
  bob: ['engineering', 'admins'],
  carol: ['sales'],
};
const KEY_ID = 'test-key';

/** A real OpenID provider that issues RS256 JWT access tokens (RFC 9068) for the resource asked for (RFC 8707). */
export interface TestProvider {
  readonly issuer: string;
  /** Every token handed out, for the search through the logs. */
  readonly issued: string[];
  /** Through the token endpoint, as a client does. */
  token(user: string, resource: string): Promise<string>;
  /** Signed by the provider's own key, with claims that its token endpoint would never issue. */
  mint(claims: JWTPayload & { sub: string }): Promise<string>;
  /** Signed by a key that the provider never published, under the id of one that it did. */
  forge(claims: JWTPayload & { sub: string }, kid?: string): Promise<string>;
  stop(): Promise<void>;
  /** Serves again at the same address. */
  restart(): Promise<void>;
}

/** @param host the address at which it is found */
export async function startOpenIdProvider(host = '127.0.0.1'): Promise<TestProvider> {
  const { privateKey } = await rsaKeys();
  const stranger = await rsaKeys();
  const server = createServer();
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const issuer = `http://${host}:${port}`;
  const jwk = { ...(await exportJWK(privateKey)), kid: KEY_ID, alg: 'RS256', use: 'sig' };
  server.on('request', createProvider(issuer, jwk).callback());

  const issued: string[] = [];
  const remember = (token: string) => {
    issued.push(token);
    return token;
  };
  const sign = (key: KeyObject, claims: JWTPayload, kid: string) =>
    new SignJWT({ iss: issuer, scope: 'mcp:use', ...claims })
      .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid })
      .setIssuedAt(claims.iat)
      .setExpirationTime(claims.exp ?? '5m')
      .sign(key)
      .then(remember);
  return {
    issuer,
    issued,
    token: async (user, resource) => remember(await clientCredentials(issuer, user, resource)),
    mint: (claims) => sign(privateKey, { groups: USERS[claims.sub] ?? [], ...claims }, KEY_ID),
    forge: (claims, kid = KEY_ID) => sign(stranger.privateKey, { groups: USERS[claims.sub] ?? [], ...claims }, kid),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    restart: async () => {
      server.listen(port, host);
      await once(server, 'listening');
    },
  };
}

function createProvider(issuer: string, jwk: object): Provider {
  return new Provider(issuer, {
    jwks: { keys: [jwk as never] },
    clients: Object.keys(USERS).map((user) => ({
      client_id: clientOf(user),
      client_secret: secretOf(user),
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    })),
    scopes: ['mcp:use'],
    extraTokenClaims: (_context, token) => ({ groups: USERS[userOf(token.clientId)] ?? [] }),
    formats: {
      customizers: {
        jwt: (_context, token, { payload }) => {
          payload.sub = userOf(token.clientId);
        },
      },
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'mcp:use',
          audience: resource,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    ttl: { ClientCredentials: 300 },
  });
}

async function clientCredentials(issuer: string, user: string, resource: string): Promise<string> {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientOf(user),
      client_secret: secretOf(user),
      scope: 'mcp:use',
      resource,
    }),
  });
  const body = (await answer.json()) as { access_token?: string };
  if (body.access_token === undefined) throw new Error(`no token for ${user}: ${JSON.stringify(body)}`);
  return body.access_token;
}

function clientOf(user: string): string {
  return `client-of-${user}`;
}

function userOf(client: string | undefined): string {
  return (client ?? '').replace('client-of-', '');
}

function secretOf(user: string): string {
  return `${user}-${user}-${user}-client-secret`;
}
