import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createRemoteJWKSet, exportJWK } from 'jose';
import Provider from 'oidc-provider';
import { verifyAssertion } from '../../../../src/identity/assertion.ts';
import type { CertificateFiles } from '../../../support/certificates.ts';
import { rsaKeys } from '../../../support/rsa-keys.ts';
import { onEnd, upstream } from '../../support/relay.ts';

export const CLIENT_SECRET = 'the-secret-of-the-relay-in-the-tests-only';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** Of a server of 2026-07-28. */
const RESULTS: Readonly<Record<string, object>> = {
  'server/discover': {
    resultType: 'complete',
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: {} },
    serverInfo: { name: 'notes', version: '1' },
  },
  'tools/call': { resultType: 'complete' },
};

/** A real authorization server of an MCP server, and that server, which takes its tokens only. */
export interface UpstreamHouse {
  readonly issuer: string;
  /** The MCP endpoint. */
  readonly url: string;
  /** Who sits at the browser; undefined: says no. */
  user: string | undefined;
  /** Grant types of the token requests, in order. */
  readonly tokenRequests: string[];
  /** Values of `Authorization` at the MCP server. */
  readonly seen: Array<string | undefined>;
  /** Status with which the token endpoint fails; undefined: it works. */
  failTokens: number | undefined;
  /** Waited for before a token request is answered. */
  slowly: Promise<void> | undefined;
  /** What the MCP server's metadata names; absent: the issuer. */
  names: string | undefined;
  /** The MCP server takes no token at all. */
  refusing: boolean;
  /** Seconds that access tokens live. */
  lifetime: number;
  /** Where the keys of the relay are, for token exchange. */
  relayKeys: string | undefined;
  /** Ends every grant, as a person does in their account's settings. */
  revokeAll(): Promise<void>;
}

/** @param redirectUri of the pre-registered client `relay` */
export async function startUpstreamHouse(redirectUri: string, tls?: CertificateFiles): Promise<UpstreamHouse> {
  const server =
    tls === undefined
      ? createServer()
      : createTlsServer({ cert: readFileSync(tls.certPath), key: readFileSync(tls.keyPath) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onEnd(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const issuer = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await rsaKeys();
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'key', alg: 'RS256', use: 'sig' } as never] },
    cookies: { keys: ['cookie-key-of-the-tests'] },
    clients: [
      {
        client_id: 'relay',
        client_secret: CLIENT_SECRET,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials', EXCHANGE],
      },
    ],
    scopes: ['openid', 'offline_access', 'notes:read', 'notes:write'],
    claims: { openid: ['sub', 'email'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@notes.example` }) }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client?.clientId as string,
        accountId: ctx.oidc.session?.accountId as string,
      });
      grant.addOIDCScope('openid offline_access notes:read notes:write');
      grant.addResourceScope(self.url, 'notes:read notes:write');
      await grant.save();
      return grant;
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({ scope: 'notes:read notes:write', audience: resource }),
      },
    },
    ttl: {
      AccessToken: () => self.lifetime,
      ClientCredentials: () => self.lifetime,
      AuthorizationCode: 60,
      Grant: 3600,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
  });
  provider.registerGrantType(
    EXCHANGE,
    async (ctx) => {
      const { subject_token: token, scope, resource } = ctx.oidc.params as Record<string, string>;
      const { client } = ctx.oidc;
      if (client === undefined || token === undefined) throw new Error('no client or token');
      const { identity } = await verifyAssertion(token, createRemoteJWKSet(new URL(self.relayKeys as string)), {
        issuer: 'https://mcp.example.com/relay',
        audience: issuer,
        now: new Date(),
        clockTolerance: 5,
      });
      if (identity.subject === 'mallory') {
        ctx.status = 400;
        ctx.body = { error: 'access_denied', error_description: 'mallory has no account here' };
        return;
      }
      const grant = new provider.Grant({ clientId: client.clientId, accountId: identity.subject });
      grant.addResourceScope(resource as string, scope as string);
      const access = new provider.AccessToken({
        accountId: identity.subject,
        client,
        grantId: await grant.save(),
        gty: 'token_exchange',
      } as never);
      access.scope = scope;
      const value = await access.save();
      ctx.body = {
        access_token: value,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: self.lifetime,
      };
    },
    ['subject_token', 'subject_token_type', 'requested_token_type', 'scope', 'resource', 'audience'],
  );

  const self: UpstreamHouse = {
    issuer,
    url: await upstream((request, response) => serve(request, response)),
    user: 'alice',
    tokenRequests: [],
    seen: [],
    failTokens: undefined,
    slowly: undefined,
    names: undefined,
    refusing: false,
    lifetime: 600,
    relayKeys: undefined,
    revokeAll: async () => {
      for (const id of grants)
        await Promise.all([provider.AccessToken.revokeByGrantId(id), provider.RefreshToken.revokeByGrantId(id)]);
    },
  };
  const grants = new Set<string>();
  provider.on('access_token.saved', ({ grantId }) => {
    if (grantId !== undefined) grants.add(grantId);
  });
  provider.use(async (ctx, next) => {
    if (ctx.path.startsWith('/interaction/')) {
      const result = self.user === undefined ? { error: 'access_denied' } : { login: { accountId: self.user } };
      ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false }));
      return;
    }
    if (ctx.path !== '/token') return next();
    await self.slowly;
    if (self.failTokens !== undefined) {
      ctx.status = self.failTokens;
      ctx.body = { error: 'server_error' };
      return;
    }
    await next();
    self.tokenRequests.push(String(ctx.oidc?.params?.grant_type));
  });
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));

  const serve: RequestListener = (request, response) => {
    if (request.url?.startsWith('/.well-known/oauth-protected-resource') === true) {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ resource: self.url, authorization_servers: [self.names ?? issuer] }));
      return;
    }
    void answer(request, response);
  };
  const answer = async (...[request, response]: Parameters<RequestListener>) => {
    const { authorization } = request.headers;
    self.seen.push(authorization);
    let text = '';
    for await (const chunk of request) text += chunk;
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? 'none';
    const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
    if (self.refusing || found === undefined) {
      response.writeHead(401, { 'WWW-Authenticate': `Bearer resource_metadata="${self.url}/meta"` }).end();
      return;
    }
    const who = 'accountId' in found ? found.accountId : 'the relay';
    response.writeHead(200, { 'Content-Type': 'application/json' });
    const { id, method } = JSON.parse(text);
    response.end(
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        result: { ...RESULTS[method], who, content: [{ type: 'text', text: who }] },
      }),
    );
  };
  return self;
}
