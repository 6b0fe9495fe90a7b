/**
 * Lambda authorizer for Amazon API Gateway: REST APIs (TOKEN and REQUEST) and HTTP APIs (payload 2.0 with simple responses,
 * and 1.0). It verifies an access token and puts who it is into the context, from where the integration maps it to headers.
 *
 * Environment: ISSUER, AUDIENCE, JWKS_URL. The same in Python: authorizer.py.
 */
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

interface Settings {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl: string;
}

/** What API Gateway sends, as far as it is looked at. */
export interface AuthorizerEvent {
  readonly version?: string;
  readonly type?: string;
  readonly authorizationToken?: string;
  readonly methodArn?: string;
  readonly headers?: Readonly<Record<string, string>> | null;
  readonly multiValueHeaders?: Readonly<Record<string, readonly string[]>> | null;
}

/** Always all of them, and empty where there is no value: what the context does not have, the mapping does not overwrite. */
interface Context {
  readonly authenticatedUser: string;
  readonly authenticatedEmail: string;
  readonly authenticatedGroups: string;
}

/** What jose throws where the key set is to blame and not the token. */
const OUTAGES: ReadonlySet<string> = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']);

/** Printable ASCII without comma: what can stand in a header as one value. */
const WORD = /^[\x21-\x2b\x2d-\x7e]+$/;
const PHRASE = /^[\x20-\x2b\x2d-\x7e]+$/;

export function createAuthorizer({ issuer, audience, jwksUrl }: Settings) {
  const keys = createRemoteJWKSet(new URL(jwksUrl));
  return async (event: AuthorizerEvent): Promise<object> => {
    const token = bearerToken(event);
    const context = token === undefined ? undefined : await verify(token);
    return context === undefined ? denied(event) : allowed(event, context);
  };

  /** @returns undefined for a bad token. Throws where the keys cannot be had: API Gateway answers 500, and no one is let in. */
  async function verify(token: string): Promise<Context | undefined> {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ['RS256', 'ES256'],
        requiredClaims: ['exp', 'sub'],
      });
      const { sub = '', email, groups } = payload;
      if (!WORD.test(sub)) return undefined;
      const list = Array.isArray(groups) ? groups : [];
      return {
        authenticatedUser: sub,
        authenticatedEmail: typeof email === 'string' && WORD.test(email) ? email : '',
        authenticatedGroups: list.filter((group) => typeof group === 'string' && PHRASE.test(group)).join(','),
      };
    } catch (error) {
      if (error instanceof errors.JOSEError && !OUTAGES.has(error.code)) return undefined;
      throw error;
    }
  }
}

/** @returns undefined where there is none, or more than one */
function bearerToken(event: AuthorizerEvent): string | undefined {
  const header = event.authorizationToken ?? soleHeader(event, 'authorization');
  return header === undefined ? undefined : /^bearer +([^\s,]+) *$/i.exec(header)?.[1];
}

function soleHeader({ headers, multiValueHeaders }: AuthorizerEvent, wanted: string): string | undefined {
  const all = multiValueHeaders ?? {};
  const values = Object.entries(all).flatMap(([name, list]) => (name.toLowerCase() === wanted ? list : []));
  if (values.length > 1) return undefined;
  const single = Object.entries(headers ?? {}).filter(([name]) => name.toLowerCase() === wanted);
  return single.length === 1 ? single[0]?.[1] : undefined;
}

function allowed(event: AuthorizerEvent, context: Context): object {
  if (event.version === '2.0') return { isAuthorized: true, context };
  return { principalId: context.authenticatedUser, policyDocument: policy(event, 'Allow'), context };
}

function denied(event: AuthorizerEvent): object {
  if (event.version === '2.0') return { isAuthorized: false };
  // Exactly this text makes a REST API answer 401; every other error is 500.
  if (event.version === undefined) throw new Error('Unauthorized');
  return { principalId: 'nobody', policyDocument: policy(event, 'Deny') };
}

/** For the whole stage, because API Gateway keeps the answer for a token and asks it for every other path. */
function policy({ methodArn = '' }: AuthorizerEvent, Effect: 'Allow' | 'Deny'): object {
  const Resource = `${methodArn.split('/').slice(0, 2).join('/')}/*`;
  return { Version: '2012-10-17', Statement: [{ Action: 'execute-api:Invoke', Effect, Resource }] };
}

let authorizer: ReturnType<typeof createAuthorizer> | undefined;

/** What Lambda calls. Made once for all events, so that keys are fetched once. */
export function handler(event: AuthorizerEvent): Promise<object> {
  authorizer ??= createAuthorizer({
    issuer: required('ISSUER'),
    audience: required('AUDIENCE'),
    jwksUrl: required('JWKS_URL'),
  });
  return authorizer(event);
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`set ${name} in the function's environment`);
  return value;
}
