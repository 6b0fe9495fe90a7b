import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import type { Configuration, KoaContextWithOIDC, ResourceServer } from 'oidc-provider';
import { createProvider, oidcErrors } from '../forward-auth/mcp-authorization/broker/oidc-library.ts';
import { drain, listen } from '../platform/http.ts';
import { DEVELOPMENT_SCOPES, findAccountByName } from './development-accounts.ts';
import { escapeHtml, page } from './development-pages.ts';
import { DEMO_CLIENT, registerPasswordGrant } from './development-password-grant.ts';
import { interactionUrl, signInPages } from './development-sign-in.ts';

export interface DevelopmentIdp {
  readonly issuer: string;
  close(grace: number): Promise<void>;
}

/** Postern's own client, by which people sign in. */
export const BROWSER_CLIENT = 'postern';

/** Seconds. */
const ACCESS_TOKEN_LIFETIME = 600;

/**
 * An OpenID provider for a first look: everybody may register a client, the passwords are public, everything is forgotten
 * at exit.
 *
 * @param publicUrl the edge's address, where people come back to after signing in and out
 * @param host it listens there; its issuer is a loopback address all the same, at which a container's port may be opened on its host
 */
export async function startDevelopmentIdp(
  port: number,
  publicUrl: string,
  host = '127.0.0.1',
): Promise<DevelopmentIdp> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const signingKey = { ...(await exportJWK(privateKey)), kid: 'development', alg: 'RS256', use: 'sig' };

  const server = createServer({ maxHeaderSize: 16_384, requestTimeout: 30_000 });
  const issuer = `http://127.0.0.1:${await listen(server, { host, port })}`;
  const provider = await createProvider(issuer, configuration(signingKey, publicUrl));
  registerPasswordGrant(provider, oidcErrors(), describeResource);
  provider.use(registrationCors as never);
  provider.use(signInPages(provider) as never);
  provider.on('server_error', (_ctx, error) => process.stderr.write(`development identity provider: ${error.stack}\n`));
  const handle = provider.callback();
  const { host: shownHost } = new URL(issuer);
  server.on('request', (request, response) => {
    // The library writes its addresses with the name that it was asked by: one that browsers cannot know, between containers.
    request.headers.host = shownHost;
    void handle(request, response);
  });
  return { issuer, close: (grace) => drain(server, grace) };
}

function describeResource(_resource: string): ResourceServer {
  return {
    scope: DEVELOPMENT_SCOPES.join(' '),
    accessTokenFormat: 'jwt',
    accessTokenTTL: ACCESS_TOKEN_LIFETIME,
    jwt: { sign: { alg: 'RS256' } },
  };
}

function configuration(signingKey: object, publicUrl: string): Configuration {
  return {
    clients: [
      {
        client_id: DEMO_CLIENT,
        client_name: 'Command line',
        token_endpoint_auth_method: 'none',
        grant_types: ['password'],
        response_types: [],
        redirect_uris: [],
      },
      {
        client_id: BROWSER_CLIENT,
        client_name: 'Postern',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [`${publicUrl}/_postern/callback`],
        post_logout_redirect_uris: [`${publicUrl}/_postern/signed-out`],
        backchannel_logout_uri: `${publicUrl}/_postern/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
    ],
    // RFC 8252 §7.3: the port of a loopback redirect may vary.
    clientDefaults: { application_type: 'native', token_endpoint_auth_method: 'none' },
    jwks: { keys: [signingKey as never] },
    cookies: { keys: [crypto.randomUUID()] },
    scopes: DEVELOPMENT_SCOPES,
    responseTypes: ['code'],
    pkce: { required: () => true },
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    conformIdTokenClaims: false,
    findAccount: (_ctx, id) => {
      const account = findAccountByName(id);
      if (account === undefined) return undefined;
      const { name, displayName, email, groups } = account;
      const claims = { sub: name, name: displayName, preferred_username: name, email, email_verified: true };
      return { accountId: name, claims: () => ({ ...claims, groups: [...groups] }) };
    },
    extraTokenClaims: (_ctx, token) => {
      const account = 'accountId' in token ? findAccountByName(token.accountId) : undefined;
      return account && { email: account.email, name: account.displayName, groups: [...account.groups] };
    },
    // MCP clients keep people signed in without asking for offline_access.
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    clientBasedCORS: () => true,
    interactions: { url: (_ctx, interaction) => interactionUrl(interaction.uid) },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true, initialAccessToken: false },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => describeResource(resource),
        defaultResource: () => undefined,
        useGrantedResource: () => true,
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          show(ctx, 'Sign out', `${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
        },
        postLogoutSuccessSource: (ctx) => show(ctx, 'Signed out', '<p>You are signed out.</p>'),
      },
    },
    ttl: {
      AccessToken: ACCESS_TOKEN_LIFETIME,
      AuthorizationCode: 60,
      Grant: 86_400,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 86_400,
    },
    renderError: (ctx, out) => {
      const detail = out.error_description === undefined ? '' : `: ${out.error_description}`;
      show(ctx, 'That did not work', `<p>${escapeHtml(`${out.error}${detail}`)}</p>`);
    },
  };
}

function show(ctx: KoaContextWithOIDC, title: string, body: string): void {
  const { html, headers } = page(title, body);
  ctx.set({ ...headers });
  ctx.body = html;
}

/** oidc-provider answers a browser's preflight everywhere but at registration, which browser-based MCP clients need. */
async function registrationCors(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
  if (ctx.path !== '/reg') return next();
  ctx.set('Access-Control-Allow-Origin', '*');
  if (ctx.method !== 'OPTIONS') return next();
  ctx.set({ 'Access-Control-Allow-Methods': 'POST', 'Access-Control-Allow-Headers': 'Content-Type' });
  ctx.status = 204;
}
