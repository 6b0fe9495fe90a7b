import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import Provider from 'oidc-provider';
import { SIGN_IN_PATHS } from '../../src/forward-auth/decision/own-endpoints.ts';
import { rsaKeys } from './rsa-keys.ts';

const GROUPS = { alice: ['engineering'], bob: ['engineering', 'admins'] } as const;
const KEY_ID = 'test-key';

export const CLIENT = { id: 'postern', secret: 'secret of the client in the sign-in tests' } as const;

export interface SignInProviderOptions {
  /** Sets its cookies apart from those of another provider on the same host. */
  readonly name?: string;
  /** Seconds. */
  readonly accessTokenLifetime?: number;
  /** Milliseconds that each token request takes, so that several can meet. */
  readonly slowness?: number;
  /** Path of the client's redirect URI, where another program than Postern is the client. */
  readonly callback?: string;
  /** Id of the client, where it is not {@link CLIENT}'s. */
  readonly clientId?: string;
  /** Beside the usual claims, and over them. */
  readonly claims?: (user: string) => Readonly<Record<string, unknown>>;
}

/** A real OpenID provider at which people sign in by a page, sign out, and are signed out by back channel. */
export interface SignInProvider {
  readonly issuer: string;
  /** The grant type of every token request so far, and whether it was served. */
  readonly tokenRequests: Array<{ readonly grant: string; readonly status: number }>;
  /** Token requests that came, answered or not. */
  readonly tokenRequestsBegun: number;
  /** Milliseconds that each token request takes from now on. */
  slowness: number;
  /** By user; a change is in the next token. */
  readonly groups: Map<string, readonly string[]>;
  /** Signed by the provider, for any audience. @param typ header type */
  mint(claims: JWTPayload & { sub: string }, typ?: string): Promise<string>;
  /** Name of what went wrong with logout by back channel. */
  readonly logoutFailures: string[];
  /** How its token endpoint fails: with a status, or by closing the connection without an answer. */
  outage: number | 'reset' | undefined;
  /** Answers in its place where it returns true. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** Publishes a new key beside the old one, and signs what it mints by it. */
  rotate(): Promise<void>;
  stop(): Promise<void>;
}

/** @param origins addresses under which Postern serves people */
export async function startSignInProvider(
  origins: readonly string[],
  {
    name = 'corp',
    accessTokenLifetime = 300,
    slowness = 0,
    callback = SIGN_IN_PATHS.callback,
    clientId = CLIENT.id,
    claims = () => ({}),
  }: SignInProviderOptions = {},
): Promise<SignInProvider> {
  let { privateKey } = await rsaKeys();
  let keyId = KEY_ID;
  let published: object[] | undefined;
  const jwk = { ...(await exportJWK(privateKey)), kid: KEY_ID, alg: 'RS256', use: 'sig' };
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Another host than the gate's, so that neither sees the other's cookies.
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  const tokenRequests: SignInProvider['tokenRequests'] = [];
  const logoutFailures: string[] = [];
  let begun = 0;

  const groups = new Map<string, readonly string[]>(Object.entries(GROUPS));
  const redirectUris = origins.map((origin) => origin + callback);
  const provider = createProvider(
    issuer,
    name,
    jwk,
    origins,
    accessTokenLifetime,
    groups,
    redirectUris,
    clientId,
    claims,
  );
  provider.use(async (context, next) => {
    if (context.path === '/token') {
      begun += 1;
      if (self.slowness > 0) await sleep(self.slowness);
    }
    await next();
    if (context.path === '/token')
      tokenRequests.push({ grant: String(context.oidc?.params?.grant_type ?? ''), status: context.status });
  });
  provider.on('backchannel.error', (_context, error) => void logoutFailures.push(error.message));
  const serve = provider.callback();
  server.on('request', (request, response) => {
    const { outage } = self;
    if (self.intercept?.(request, response) === true) return;
    if (request.url === '/jwks' && published !== undefined)
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys: published }));
    else if (request.url?.startsWith('/interaction/') === true)
      void interact(provider, name, request, response).catch(() => response.writeHead(400).end('no such sign-in'));
    else if (request.url === '/token' && outage !== undefined) failTokenRequest(response, outage);
    else void serve(request, response);
  });
  const self: SignInProvider = {
    issuer,
    tokenRequests,
    get tokenRequestsBegun() {
      return begun;
    },
    slowness,
    logoutFailures,
    groups,
    mint: (claims, typ = 'at+jwt') =>
      new SignJWT({ iss: issuer, groups: groups.get(claims.sub) ?? [], ...claims })
        .setProtectedHeader({ alg: 'RS256', typ, kid: keyId })
        .setIssuedAt(claims.iat)
        .setExpirationTime(claims.exp ?? '10m')
        .sign(privateKey),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    outage: undefined,
    intercept: undefined,
    rotate: async () => {
      const next = await rsaKeys();
      privateKey = next.privateKey;
      const before = published ?? [{ ...publicPart(jwk), kid: KEY_ID }];
      keyId = `${KEY_ID}-${before.length + 1}`;
      // A provider takes back what it signs no more by.
      published = [...before, { ...publicPart(await exportJWK(next.publicKey)), kid: keyId }].slice(-2);
    },
  };
  return self;
}

const publicPart = ({ n, e, kty }: JWK) => ({ n, e, kty, alg: 'RS256', use: 'sig' });

function createProvider(
  issuer: string,
  name: string,
  jwk: object,
  origins: readonly string[],
  accessTokenLifetime: number,
  groups: ReadonlyMap<string, readonly string[]>,
  redirectUris: string[],
  clientId: string,
  moreClaims: NonNullable<SignInProviderOptions['claims']>,
): Provider {
  return new Provider(issuer, {
    jwks: { keys: [jwk as never] },
    clients: [
      {
        client_id: clientId,
        client_secret: CLIENT.secret,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: redirectUris,
        post_logout_redirect_uris: origins.map((origin) => origin + SIGN_IN_PATHS.signedOut),
        backchannel_logout_uri: origins[0] + SIGN_IN_PATHS.backChannelLogout,
        backchannel_logout_session_required: true,
      },
    ],
    claims: {
      openid: ['sub'],
      profile: ['name', 'groups', ...Object.keys(moreClaims(''))],
      email: ['email', 'email_verified'],
    },
    // Claims in the ID token itself, as most providers have it.
    conformIdTokenClaims: false,
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        name: `${id[0]?.toUpperCase()}${id.slice(1)}`,
        email: `${id}@example.com`,
        email_verified: true,
        groups: [...(groups.get(id) ?? [])],
        ...moreClaims(id),
      }),
    }),
    cookies: {
      names: { session: `_${name}_session`, interaction: `_${name}_interaction`, resume: `_${name}_resume` },
      keys: ['key of the cookies in the sign-in tests'],
    },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context, form) => {
          context.type = 'html';
          context.body = page(
            `Sign out of ${name}`,
            `${form}<button form="op.logoutForm" type="submit" name="logout" value="yes">Yes, sign me out</button>`,
          );
        },
        postLogoutSuccessSource: (context) => {
          context.type = 'html';
          context.body = page('Signed out at the provider', '');
        },
      },
    },
    // Consent is no part of these tests.
    loadExistingGrant: async (context) => {
      const { client, session, provider } = context.oidc;
      if (client === undefined || session?.accountId === undefined) return undefined;
      const id = session.grantIdFor(client.clientId);
      const known = id === undefined ? undefined : await provider.Grant.find(id);
      if (known !== undefined) return known;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope('openid profile email offline_access');
      await grant.save();
      return grant;
    },
    // By default it refuses to ask addresses of this machine.
    fetch: (url, options) => {
      const { method, headers, body, redirect } = options ?? {};
      return fetch(url, { method, headers, body, redirect } as RequestInit);
    },
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    ttl: { AccessToken: accessTokenLifetime, IdToken: 300, RefreshToken: 3_600, Session: 3_600, Grant: 3_600 },
  });
}

function failTokenRequest(response: ServerResponse, outage: number | 'reset'): void {
  if (outage === 'reset') response.socket?.destroy();
  else response.writeHead(outage, { 'Content-Type': 'text/html' }).end('<h1>Not now</h1>');
}

/** The provider's own sign-in page: a user name, and a way out. */
async function interact(
  provider: Provider,
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'POST') {
    await provider.interactionDetails(request, response);
    response.setHeader('Content-Type', 'text/html');
    response.end(
      page(
        `Sign in at ${name}`,
        `<form method="post"><label>User <input name="user" autofocus></label>
        <button name="do" value="go">Sign in</button> <button name="do" value="cancel">Cancel</button></form>`,
      ),
    );
    return;
  }
  const form = new URLSearchParams(await text(request));
  const result =
    form.get('do') === 'cancel'
      ? { error: 'access_denied', error_description: 'the person <b>did not</b> want to' }
      : { login: { accountId: form.get('user') ?? '' } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>${title}</title><main><h1>${title}</h1>${body}</main></html>`;
}
