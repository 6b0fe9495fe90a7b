import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK } from 'jose';
import Provider from 'oidc-provider';
import { rsaKeys } from './rsa-keys.ts';

/** Scopes of every resource that it knows. */
const SCOPES = 'mcp:use mcp:admin';

/** A real OpenID provider that registers MCP clients itself and issues tokens for the server that they name. */
export interface RegisteringProvider {
  readonly issuer: string;
  /** Names of the clients that have registered. */
  readonly registered: string[];
  stop(): Promise<void>;
}

/** Whoever comes is `alice` of `engineering`, who agrees to everything. */
export async function startRegisteringProvider(): Promise<RegisteringProvider> {
  const { privateKey } = await rsaKeys();
  const jwk = { ...(await exportJWK(privateKey)), kid: 'registering', alg: 'RS256', use: 'sig' };
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  const registered: string[] = [];
  const provider = createProvider(issuer, jwk);
  provider.on('registration_create.success', (_context, { clientName }) => void registered.push(clientName ?? ''));
  const serve = provider.callback();
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/interaction/') !== true) return void serve(request, response);
    void agree(provider, request, response).catch(() => response.writeHead(400).end());
  });
  return {
    issuer,
    registered,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function createProvider(issuer: string, jwk: object): Provider {
  return new Provider(issuer, {
    jwks: { keys: [jwk as never] },
    clientDefaults: { token_endpoint_auth_method: 'none' },
    scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
    // What a client registers is not all that it may ever ask for; otherwise none could step up.
    extraClientMetadata: {
      properties: ['software_id'],
      validator: (_context, _key, _value, metadata) => {
        delete metadata.scope;
      },
    },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: () => ({ groups: ['engineering'] }),
    cookies: { keys: ['key of the cookies of the provider that registers clients'] },
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: SCOPES,
          audience: resource,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    ttl: { AccessToken: 300, RefreshToken: 3_600, Session: 3_600, Grant: 3_600, Interaction: 600 },
  });
}

async function agree(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login')
    return provider.interactionFinished(request, response, { login: { accountId: 'alice' } });
  const grant = new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params.client_id) });
  grant.addOIDCScope(`openid offline_access ${SCOPES}`);
  grant.addResourceScope(String(params.resource), SCOPES);
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
}
