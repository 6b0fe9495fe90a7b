import { decodeProtectedHeader } from 'jose';
import * as client from 'openid-client';
import type { ProviderConfig } from '../../platform/config/schema.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { isClientRefused, isUnknownKey, refusedRefresh } from '../../platform/oauth-failures.ts';
import { providerFetch } from '../../platform/provider-fetch.ts';
import { GroupNotices } from '../authenticators/group-notices.ts';
import type { Refreshed, SessionTokens, SignedIn } from '../sessions/session.ts';
import { type ProviderDependencies, ProviderDiscovery } from './provider-discovery.ts';
import { providerFailure, SignInFailed } from './provider-failures.ts';
import { type Claims, isGroupOverage, refusedAddress, sessionIdentity } from './session-identity.ts';
import { TokenRequest } from './token-request.ts';

/** What the two halves of one attempt share (RFC 7636, OpenID Connect Core §3.1.2.1). */
export interface TransactionSecrets {
  readonly nonce: string;
  readonly verifier: string;
}

type Tokens = client.TokenEndpointResponse & client.TokenEndpointResponseHelpers;

/** One provider, as people sign in with it: authorization code with PKCE, state and nonce, always. */
export class ProviderClient {
  readonly config: ProviderConfig;
  readonly callbackPath: string;
  readonly #discovery: ProviderDiscovery;
  readonly #dependencies: ProviderDependencies;
  readonly #groupNotices: GroupNotices;

  /** @param callbackPath where this provider, and no other, sends people back to (RFC 9700 §4.4.2.2) */
  constructor(
    config: ProviderConfig,
    secret: string | undefined,
    callbackPath: string,
    dependencies: ProviderDependencies,
  ) {
    this.config = config;
    this.callbackPath = callbackPath;
    this.#dependencies = { ...dependencies, fetch: providerFetch(config, dependencies.fetch) };
    this.#groupNotices = new GroupNotices(dependencies.log);
    this.#discovery = new ProviderDiscovery(config, secret, this.#dependencies);
  }

  /** What the provider says about itself. @throws DependencyUnavailable */
  async metadata(): Promise<Readonly<client.ServerMetadata>> {
    return (await this.#discovery.configuration()).serverMetadata();
  }

  /**
   * @param anew whether the person must prove themselves although the provider knows them (OpenID Connect Core §3.1.2.1, `prompt`)
   * @throws DependencyUnavailable
   */
  async authorizationUrl(
    origin: string,
    state: string,
    { nonce, verifier }: TransactionSecrets,
    anew = false,
  ): Promise<URL> {
    const configuration = await this.#discovery.configuration();
    return client.buildAuthorizationUrl(configuration, {
      ...this.config.authorizationParameters,
      ...(anew ? { prompt: 'login' } : {}),
      response_type: 'code',
      redirect_uri: origin + this.callbackPath,
      scope: this.config.scopes.join(' '),
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
  }

  /**
   * Whether an authorization response, or an error, can be this provider's (RFC 9207 §2.4).
   *
   * @param issuers every `iss` of the callback
   * @throws DependencyUnavailable
   */
  async answersAs(issuers: readonly string[]): Promise<boolean> {
    if (issuers.length > 0) return issuers.length === 1 && issuers[0] === this.config.issuer;
    return (await this.metadata()).authorization_response_iss_parameter_supported !== true;
  }

  /**
   * @param query of the callback, with `code`, `state` and perhaps `iss` (RFC 9207)
   * @throws DependencyUnavailable, SignInFailed
   */
  async exchange(origin: string, query: string, state: string, secrets: TransactionSecrets): Promise<SignedIn> {
    try {
      const configuration = await this.#discovery.configuration();
      const callback = new URL(`${origin}${this.callbackPath}?${query}`);
      const tokens = await this.#granted(new TokenRequest(this.#dependencies.fetch), (provider) =>
        client.authorizationCodeGrant(provider, callback, {
          expectedState: state,
          expectedNonce: secrets.nonce,
          pkceCodeVerifier: secrets.verifier,
          idTokenExpected: true,
        }),
      );
      const claims = await this.#allClaims(configuration, tokens);
      return this.#signedIn(claims, tokens, {});
    } catch (error) {
      if (isClientRefused(error)) this.#logClientRefused();
      throw this.#failure(error);
    }
  }

  /** @throws DependencyUnavailable where nothing can be said: the session stays as it is */
  async refresh(session: SignedIn): Promise<Refreshed> {
    const { refreshToken } = session.tokens;
    if (refreshToken === undefined) return { kind: 'refused' };
    const request = new TokenRequest(this.#dependencies.fetch);
    try {
      const configuration = await this.#discovery.configuration();
      const tokens = await this.#granted(request, (provider) => client.refreshTokenGrant(provider, refreshToken));
      const kept = { ...session, tokens: this.#tokens(tokens, session.tokens) };
      if (tokens.claims() === undefined) return { kind: 'refreshed', signedIn: kept };
      // The old refresh token may be worth nothing by now: whatever fails from here on, the new one must be kept.
      const claims = await this.#allClaims(configuration, tokens).catch((error: unknown) => {
        const failure = this.#failure(error);
        // Userinfo refuses an access token: that says nothing of the refresh token, nor of our client.
        if (failure instanceof SignInFailed) throw failure;
        this.#dependencies.log.warn({ provider: this.config.id, error }, 'no userinfo at a refresh; claims are kept');
        return undefined;
      });
      if (claims === undefined) return { kind: 'refreshed', signedIn: kept };
      const signedIn = this.#signedIn(claims, tokens, session.tokens, session.identity.scopes);
      const same = signedIn.identity.subject === session.identity.subject;
      const { providerSession } = session;
      return same
        ? {
            kind: 'refreshed',
            signedIn: { ...(providerSession === undefined ? {} : { providerSession }), ...signedIn },
          }
        : { kind: 'refused' };
    } catch (error) {
      const refused = refusedRefresh(error);
      if (refused !== undefined) return this.#refused(refused);
      if (isClientRefused(error)) this.#logClientRefused();
      const failure = this.#failure(error);
      if (failure instanceof SignInFailed && failure.problem === 'not_allowed') return { kind: 'refused' };
      // The old refresh token is spent: without the new one a fault of the provider's keys or clock would end the session.
      if (request.refreshToken !== undefined)
        return { kind: 'unchecked', refreshToken: request.refreshToken, cause: error };
      throw failure instanceof DependencyUnavailable
        ? failure
        : new DependencyUnavailable(`the identity provider "${this.config.id}"`, error);
    }
  }

  /**
   * OpenID Connect RP-Initiated Logout 1.0 §2.
   *
   * @returns undefined where the provider has no such page, or was never reached: signing out here works without it
   */
  async endSessionUrl(session: SignedIn, postLogoutUri: string, state: string): Promise<string | undefined> {
    const configuration = await this.#discovery.configuration().catch(() => undefined);
    if (configuration?.serverMetadata().end_session_endpoint === undefined) return undefined;
    const { idToken } = session.tokens;
    return client.buildEndSessionUrl(configuration, {
      ...(idToken === undefined ? {} : { id_token_hint: idToken }),
      post_logout_redirect_uri: postLogoutUri,
      state,
    }).href;
  }

  /** An ID token that was signed by a key which came after the last look is checked once more, with the keys of now. */
  async #granted(request: TokenRequest, grant: (provider: client.Configuration) => Promise<Tokens>): Promise<Tokens> {
    let provider = await this.#discovery.configurationFor(request);
    try {
      return await grant(provider);
    } catch (error) {
      if (!request.answered || !isUnknownKey(error)) throw error;
      provider = await this.#discovery.configurationFor(request, true);
      return await grant(provider);
    } finally {
      this.#discovery.keepKeys(provider);
    }
  }

  async #allClaims(configuration: client.Configuration, tokens: Tokens): Promise<Claims> {
    const claims = tokens.claims();
    if (claims === undefined) throw new SignInFailed('provider_error', 'there is no ID token');
    const { alg } = decodeProtectedHeader(tokens.id_token as string);
    if (!this.config.algorithms.some((allowed) => allowed === alg))
      throw new SignInFailed('provider_error', 'the ID token is signed by an algorithm that is not allowed');
    const overage = isGroupOverage(claims, this.config);
    const asked = this.config.userinfo === 'always' || (this.config.userinfo === 'overage' && overage);
    if (!asked || configuration.serverMetadata().userinfo_endpoint === undefined) {
      if (overage) this.#warnOfOverage();
      return claims;
    }
    const more = await client.fetchUserInfo(configuration, tokens.access_token, claims.sub);
    const all = { ...claims, ...more };
    if (overage && sessionIdentity(all, this.config, [])?.groups.length === 0) this.#warnOfOverage();
    return all;
  }

  #failure(error: unknown): DependencyUnavailable | SignInFailed {
    const { id, clockTolerance } = this.config;
    const key = `clockTolerance of the provider "${id}" in auth.providers`;
    return providerFailure(id, error, { now: this.#dependencies.now(), clockTolerance, key });
  }

  #refused(code: string): Refreshed {
    this.#dependencies.log.info({ provider: this.config.id, error: code }, 'the provider refused a refresh token');
    return { kind: 'refused' };
  }

  #logClientRefused(): void {
    const { id, issuer } = this.config;
    this.#dependencies.log.error(
      { provider: id, issuer },
      `the provider refuses this client: check clientId, clientSecret and clientAuthentication of the provider "${id}" in auth.providers`,
    );
  }

  #warnOfOverage(): void {
    this.#dependencies.log.warn(
      { provider: this.config.id },
      'the user has more groups than fit into a token and userinfo does not list them: signed in without groups',
    );
  }

  #signedIn(
    claims: Claims,
    tokens: Tokens,
    before: Partial<SessionTokens>,
    held = this.config.scopes as readonly string[],
  ): SignedIn {
    const scopes = tokens.scope === undefined ? held : [...new Set(tokens.scope.split(' ').filter(Boolean))];
    this.#groupNotices.look(claims, this.config);
    const identity = sessionIdentity(claims, this.config, scopes);
    if (identity === undefined) throw new SignInFailed('provider_error', 'the ID token names no subject');
    const refused = refusedAddress(claims, identity, this.config);
    if (refused !== undefined) {
      const { id: provider } = this.config;
      this.#dependencies.log.warn({ provider, ...refused, identity }, 'a person may not sign in');
      throw new SignInFailed('not_allowed', 'this address is not among those that may sign in');
    }
    return {
      identity,
      provider: this.config.id,
      ...(typeof claims.sid === 'string' && claims.sid !== '' ? { providerSession: claims.sid } : {}),
      tokens: this.#tokens(tokens, before),
    };
  }

  #tokens(tokens: Tokens, before: Partial<SessionTokens>): SessionTokens {
    const seconds = tokens.expiresIn();
    const refreshToken = tokens.refresh_token ?? before.refreshToken;
    const idToken = tokens.id_token ?? before.idToken;
    return {
      accessToken: tokens.access_token,
      ...(seconds === undefined ? {} : { accessTokenExpiresAt: this.#dependencies.now() + seconds * 1_000 }),
      ...(refreshToken === undefined ? {} : { refreshToken }),
      ...(idToken === undefined ? {} : { idToken }),
    };
  }
}
