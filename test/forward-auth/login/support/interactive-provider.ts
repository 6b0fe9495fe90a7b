import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, exportJWK, type JWTPayload, SignJWT } from 'jose';
import Provider from 'oidc-provider';
import { rsaKeys } from '../../../support/rsa-keys.ts';

export const CLIENT_SECRET = 'the-secret-of-the-client-in-the-tests-only';

type Claims = Record<string, unknown>;

/** A real OpenID provider that signs in whoever `user` names, without a form. */
export interface InteractiveProvider {
  readonly issuer: string;
  /** Who sits at the browser; `undefined` says no. */
  user: string | undefined;
  /** Claims by user; of the ID token and of userinfo. */
  readonly accounts: Record<string, { idToken: Claims; userinfo?: Claims }>;
  /** Bodies of token requests. */
  readonly tokenRequests: string[];
  /** Status with which the token endpoint fails; undefined: it works. */
  /** What token requests are answered by; a bare number is a `server_error` of that status. */
  failTokens: number | { readonly status: number; readonly body: unknown; readonly challenge?: string } | undefined;
  /**
   * Signs by another key from now on, which the key set holds beside the old one, or in its place under the old key's id, or
   * in its place without an id.
   */
  rotated: boolean | 'same id' | 'no id';
  /** `refused`: by a challenge (RFC 6750 §3). */
  failUserinfo: boolean | 'refused';
  /** Replaces the ID token of the next answers; by claims over the true ones. */
  forge: { claims?: Claims; stranger?: boolean; none?: boolean; noRefresh?: boolean } | undefined;
  logoutToken(
    claims: Claims,
    options?: { typ?: string; kid?: string; stranger?: boolean; omit?: string[] },
  ): Promise<string>;
  idToken(claims: Claims): Promise<string>;
  stop(): Promise<void>;
  restart(): Promise<void>;
}

/** @param app origin of what people sign in to @param callback path of the redirect URI */
export async function startInteractiveProvider(
  app: string,
  callback = '/_postern/callback',
): Promise<InteractiveProvider> {
  const { privateKey } = await rsaKeys();
  const stranger = await rsaKeys();
  const rotated = await rsaKeys();
  const rotatedJwk = { ...(await exportJWK(rotated.publicKey)), kid: 'next', alg: 'RS256', use: 'sig' };
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  const accounts: InteractiveProvider['accounts'] = {
    alice: {
      idToken: { name: 'Alice <b>', email: 'alice@example.com', email_verified: true, groups: ['engineering'] },
    },
    bob: { idToken: { name: 'Bob', email: 'bob@example.com', groups: ['sales'] } },
  };
  const jwk = { ...(await exportJWK(privateKey)), kid: 'key', alg: 'RS256', use: 'sig' };
  const provider = new Provider(issuer, {
    jwks: { keys: [jwk as never] },
    cookies: { keys: ['cookie-key-of-the-tests'] },
    clients: [
      {
        client_id: 'postern',
        client_secret: CLIENT_SECRET,
        redirect_uris: [app + callback],
        post_logout_redirect_uris: [`${app}/_postern/signed-out`],
        backchannel_logout_uri: `${app}/_postern/backchannel-logout`,
        backchannel_logout_session_required: true,
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    claims: {
      openid: [
        'sub',
        'name',
        'email',
        'email_verified',
        'groups',
        'realm_access',
        'hasgroups',
        'roles.of.app',
        'upn',
        'urn:zitadel:iam:org:project:roles',
        'teams',
      ],
    },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    findAccount: (_ctx, id) => {
      const account = accounts[id];
      if (account === undefined) return undefined;
      return {
        accountId: id,
        claims: (use) => ({
          sub: id,
          ...(use === 'userinfo' ? (account.userinfo ?? account.idToken) : account.idToken),
        }),
      };
    },
    loadExistingGrant: async (ctx) => {
      const held = ctx.oidc.session?.grantIdFor(ctx.oidc.client?.clientId as string);
      if (held !== undefined) return ctx.oidc.provider.Grant.find(held);
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client?.clientId as string,
        accountId: ctx.oidc.session?.accountId as string,
      });
      grant.addOIDCScope('openid profile email offline_access');
      await grant.save();
      return grant;
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = form;
        },
      },
    },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      Grant: 3600,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
  });
  const self: InteractiveProvider = {
    issuer,
    user: 'alice',
    accounts,
    tokenRequests: [],
    failTokens: undefined,
    rotated: false,
    forge: undefined,
    failUserinfo: false,
    logoutToken: (claims, { typ = 'logout+jwt', kid, stranger: strange = false, omit = [] } = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const all: Claims = {
        ...{ iss: issuer, aud: 'postern', iat: now, exp: now + 120, jti: crypto.randomUUID() },
        ...{ events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, ...claims },
      };
      for (const name of omit) delete all[name];
      return new SignJWT(all as JWTPayload)
        .setProtectedHeader({
          alg: 'RS256',
          kid: kid ?? (self.rotated ? 'next' : 'key'),
          ...(typ === '' ? {} : { typ }),
        })
        .sign(strange ? stranger.privateKey : self.rotated ? rotated.privateKey : privateKey);
    },
    idToken: (claims) =>
      new SignJWT({ iss: issuer, aud: 'postern', ...claims } as JWTPayload)
        .setProtectedHeader({ alg: 'RS256', kid: 'key' })
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    restart: async () => {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
  };
  provider.use(async (ctx, next) => {
    if (ctx.path.startsWith('/interaction/')) {
      const result =
        self.user === undefined
          ? { error: 'access_denied', error_description: '<script>alert(1)</script>' }
          : { login: { accountId: self.user } };
      const to = await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
      ctx.redirect(to);
      return;
    }
    if (ctx.path === '/me' && self.failUserinfo) {
      ctx.status = self.failUserinfo === 'refused' ? 401 : 503;
      if (ctx.status === 401) ctx.set('WWW-Authenticate', 'Bearer error="invalid_token"');
      return;
    }
    if (ctx.path === '/token') {
      self.tokenRequests.push(ctx.path);
      if (self.failTokens !== undefined) {
        const failure = self.failTokens;
        const { status, body, challenge } =
          typeof failure === 'number'
            ? { status: failure, body: { error: 'server_error' } }
            : { challenge: '', ...failure };
        ctx.status = status;
        ctx.body = body;
        if (challenge) ctx.set('WWW-Authenticate', challenge);
        return;
      }
    }
    await next();
    const { kid: _next, ...anonymousJwk } = rotatedJwk;
    const nextId = { true: 'next', 'same id': 'key', 'no id': undefined, false: undefined }[`${self.rotated}`];
    if (ctx.path === '/jwks' && self.rotated) {
      const next = nextId === undefined ? anonymousJwk : { ...rotatedJwk, kid: nextId };
      const { keys } = ctx.body as { keys: unknown[] };
      ctx.body = { keys: self.rotated === true ? [...keys, next] : [next] };
    }
    const answer = ctx.body as { id_token?: string; refresh_token?: string } | undefined;
    if (ctx.path === '/token' && self.rotated && answer?.id_token !== undefined)
      answer.id_token = await new SignJWT(decodeJwt(answer.id_token))
        .setProtectedHeader({ alg: 'RS256', ...(nextId === undefined ? {} : { kid: nextId }) })
        .sign(rotated.privateKey);
    if (ctx.path !== '/token' || self.forge === undefined || answer?.id_token === undefined) return;
    const { claims = {}, stranger: strange = false, none = false, noRefresh = false } = self.forge;
    if (noRefresh) delete answer.refresh_token;
    const forged = new SignJWT({ ...decodeJwt(answer.id_token), ...claims } as JWTPayload)
      .setProtectedHeader({ alg: 'RS256', kid: 'key' })
      .sign(strange ? stranger.privateKey : privateKey);
    if (none) delete answer.id_token;
    else answer.id_token = await forged;
    ctx.body = answer;
  });
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));
  return self;
}
