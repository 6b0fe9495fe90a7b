import * as client from 'openid-client';
import { type Identity, ownerKey } from '../../identity/identity.ts';
import type { Logger } from '../../platform/log.ts';
import type { Secret } from '../../platform/secret-source.ts';
import { type Refusal, RefusedError } from '../refusal.ts';
import type { Credential, Outgoing } from './credential.ts';
import { assertFor, type RelayAssertions } from './identity-fields.ts';
import { clientAuthentication, oauthDetailOf, oauthErrorOf, serverAway } from './oauth-errors.ts';
import type { AuthorizationServers } from './server-metadata.ts';
import type { GrantedToken, TokenCache } from './token-cache.ts';

export interface GrantSettings {
  readonly server: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly secret: Secret | undefined;
  readonly authentication: 'client_secret_basic' | 'client_secret_post';
  readonly scopes: readonly string[];
  /** Absent: none is sent. */
  readonly resource: string | undefined;
  readonly audience: string | undefined;
  /** Token exchange (RFC 8693) for the person; absent: client credentials, one token for all (RFC 6749 §4.4). */
  readonly exchange: RelayAssertions | undefined;
}

export interface GrantDependencies {
  readonly servers: AuthorizationServers;
  readonly cache: TokenCache;
  readonly now: () => number;
  readonly log: Logger;
}

/** Milliseconds for which a token is used whose server does not say how long it lives. */
const UNSAID = 300_000;

const NO_PERSON: Refusal = {
  status: 403,
  reason: 'upstream_credentials',
  message: 'this MCP server knows people only: sign in',
};

/**
 * A token of the server's own authorization server. What is exchanged is a statement that the relay signs for that server
 * about who is calling; the token that the client sent stays out of it.
 */
export function grantedCredential(settings: GrantSettings, deps: GrantDependencies): Credential {
  const { exchange } = settings;
  const { cache } = deps;
  const keyOf = ({ caller }: Outgoing) => cacheKey(settings, exchange === undefined ? undefined : caller?.identity);
  const bearer = (token: string) => ['authorization', `Bearer ${token}`];
  const token = (outgoing: Outgoing) =>
    cache.token(keyOf(outgoing), () => grant(settings, outgoing.caller?.identity, deps));
  return {
    names: ['authorization'],
    fields(outgoing) {
      if (exchange !== undefined && isNobody(outgoing.caller?.identity)) return NO_PERSON;
      const found = token(outgoing);
      return found instanceof Promise ? found.then(bearer) : bearer(found);
    },
    async renew(outgoing, refused, last) {
      const used = refused[refused.lastIndexOf('authorization') + 1]?.slice('Bearer '.length) ?? '';
      cache.drop(keyOf(outgoing), used);
      return last ? undefined : bearer(await token(outgoing));
    },
  };
}

function isNobody(identity: Identity | undefined): boolean {
  return identity === undefined || identity.method === 'anonymous';
}

/** All that a token depends on: whatever the statement says about a person may decide what is granted. */
function cacheKey({ server, issuer, clientId, scopes }: GrantSettings, identity: Identity | undefined): string {
  const person =
    identity === undefined
      ? null
      : [ownerKey(identity), identity.method, identity.name, identity.email, identity.groups, identity.scopes];
  return JSON.stringify([server, issuer, clientId, scopes, person]);
}

async function grant(
  settings: GrantSettings,
  identity: Identity | undefined,
  { servers, now, log }: GrantDependencies,
): Promise<GrantedToken> {
  const { issuer, clientId, secret, scopes, resource, audience, exchange, server } = settings;
  try {
    const authentication = clientAuthentication(secret?.current(), settings.authentication);
    const configuration = await servers.client(issuer, clientId, authentication);
    const parameters = {
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
      ...(resource === undefined ? {} : { resource }),
      ...(audience === undefined ? {} : { audience }),
    };
    const tokens =
      exchange === undefined || identity === undefined
        ? await client.clientCredentialsGrant(configuration, parameters)
        : await client.genericGrantRequest(configuration, 'urn:ietf:params:oauth:grant-type:token-exchange', {
            ...parameters,
            requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
            subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
            subject_token: subjectToken(configuration, identity, exchange),
          });
    if (tokens.token_type !== 'bearer') throw new Error(`${issuer} gave a token that is not a bearer token`);
    return { accessToken: tokens.access_token, expiresAt: now() + (tokens.expiresIn() ?? UNSAID / 1000) * 1000 };
  } catch (error) {
    const code = oauthErrorOf(error);
    log.warn(
      { server, issuer, error: code ?? error, detail: oauthDetailOf(error), identity },
      'no token for an MCP server',
    );
    if (code === undefined) throw serverAway(issuer, error);
    throw new RefusedError(
      {
        status: 502,
        reason: 'upstream_credentials',
        message: `the relay was given no token for this MCP server (${code.replace(/[^\w.-]/g, '').slice(0, 64)})`,
        fix: `${issuer} refused the ${exchange === undefined ? 'client credentials' : 'token exchange'} of relay.servers.${server}.credential`,
      },
      error,
    );
  }
}

/** RFC 8693 §2.1: bound to the one token endpoint by its audience, which is the authorization server's issuer. */
function subjectToken(configuration: client.Configuration, identity: Identity, assertions: RelayAssertions): string {
  const { issuer, token_endpoint } = configuration.serverMetadata();
  const { host, pathname } = new URL(token_endpoint ?? issuer);
  return assertFor(identity, issuer, { method: 'POST', host, path: pathname }, assertions);
}
