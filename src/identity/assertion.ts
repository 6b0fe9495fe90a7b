import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { calculateJwkThumbprint, errors, type JWK, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { type Credential, isCredentialHandle } from './credential.ts';
import type { Identity } from './identity.ts';
import { ANONYMOUS, isIdentityMethod } from './identity.ts';
import { demandClaim, type OperationDemand, readDemandClaim } from './operation-demand.ts';

/** `typ` of the assertion (RFC 8725 §3.11): no other JWT can be taken for one, nor one for an access token. */
export const ASSERTION_TYPE = 'postern-identity+jwt';
const ALGORITHMS = ['ES256', 'EdDSA'] as const;
/**
 * Claim, and name in the header's `crit` (RFC 7515 §4.1.11), of what the reader of the body must still ask: a program that
 * does not know it must refuse the assertion, because it would let more pass than its maker meant.
 */
const DEMAND = 'postern_demand';

/** The request that an assertion was made for; it is worth nothing for another one. */
export interface AssertionBinding {
  /** Upper-case HTTP method. */
  readonly method: string;
  /** Canonical host, lower case, with the port where it is not the scheme's default. */
  readonly host: string;
  /** Path as the upstream will see it, without the query. */
  readonly path: string;
}

/** A private key that signs assertions, with its public half as published at `/_postern/jwks.json`. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: (typeof ALGORITHMS)[number];
  readonly privateKey: KeyObject;
  readonly publicJwk: JWK;
}

export interface AssertionClaims {
  readonly issuer: string;
  readonly audience: string;
  /** Unix time in seconds. */
  readonly issuedAt: number;
  /** Seconds. */
  readonly lifetime: number;
  /** Of the identity, where it is to be told. */
  readonly username?: string | undefined;
}

/**
 * Takes a private key as JWK (EC P-256 or Ed25519).
 *
 * @throws TypeError for a key of another kind or without a private part
 */
export async function importSigningKey(jwk: JWK): Promise<SigningKey> {
  const alg = jwk.kty === 'EC' && jwk.crv === 'P-256' ? 'ES256' : jwk.crv === 'Ed25519' ? 'EdDSA' : undefined;
  if (alg === undefined || jwk.d === undefined)
    throw new TypeError('an assertion key must be a private JWK, EC with crv P-256 or OKP with crv Ed25519');
  const privateKey = createPrivateKey({ key: jwk as never, format: 'jwk' });
  const bare = createPublicKey(privateKey).export({ format: 'jwk' }) as JWK;
  const kid = jwk.kid ?? (await calculateJwkThumbprint(bare));
  return { kid, alg, privateKey, publicJwk: { ...bare, kid, alg, use: 'sig' } };
}

/**
 * Signs an assertion (JWS compact, RFC 7515). Synchronous, because signing is on the path of every allowed request and
 * one hop through the thread pool costs more than the signature.
 */
export function signAssertion(
  key: SigningKey,
  identity: Identity,
  binding: AssertionBinding,
  claims: AssertionClaims,
  demand?: OperationDemand,
  credential?: Credential,
): string {
  const payload = {
    iss: claims.issuer,
    aud: claims.audience,
    iat: claims.issuedAt,
    exp: claims.issuedAt + claims.lifetime,
    sub: identity.subject,
    username: claims.username,
    email: identity.email,
    name: identity.name,
    groups: identity.groups,
    scope: identity.scopes.join(' '),
    amr: identity.method,
    idp: identity.issuer,
    sid: credential?.handle,
    until: credential?.expiresAt === undefined ? undefined : Math.floor(credential.expiresAt / 1000),
    htm: binding.method,
    hth: binding.host,
    htp: binding.path,
    ...(demand === undefined ? {} : { [DEMAND]: demandClaim(demand) }),
  };
  const header = { alg: key.alg, typ: ASSERTION_TYPE, kid: key.kid };
  const critical = demand === undefined ? {} : { crit: [DEMAND], [DEMAND]: true };
  const input = `${base64url({ ...header, ...critical })}.${base64url(payload)}`;
  const signature =
    key.alg === 'ES256'
      ? sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
      : sign(null, Buffer.from(input), key.privateKey);
  return `${input}.${signature.toString('base64url')}`;
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

export interface VerifiedAssertion {
  readonly identity: Identity;
  readonly binding: AssertionBinding;
  /** What the identity rests on, as far as it can end. */
  readonly credential: Credential;
  /** What must still be asked of the message in the body; undefined: nothing. */
  readonly demand?: OperationDemand;
  /** Unix time in seconds after which the assertion is worth nothing. */
  readonly expiresAt: number;
}

/**
 * Verifies signature, type, issuer, audience and time of an assertion. The caller compares `binding` with the request it
 * holds.
 *
 * @throws jose's `JOSEError` with its stable `code` where anything is wrong
 */
export async function verifyAssertion(
  jwt: string,
  getKey: JWTVerifyGetKey,
  expected: { issuer: string; audience: string; now: Date; clockTolerance: number },
): Promise<VerifiedAssertion> {
  const { payload } = await jwtVerify(jwt, getKey, {
    algorithms: [...ALGORITHMS],
    typ: ASSERTION_TYPE,
    issuer: expected.issuer,
    audience: expected.audience,
    currentDate: expected.now,
    clockTolerance: expected.clockTolerance,
    crit: { [DEMAND]: true },
    requiredClaims: ['iat', 'exp', 'sub', 'htm', 'hth', 'htp'],
  });
  const text = (name: string) => (typeof payload[name] === 'string' ? (payload[name] as string) : '');
  const method = text('amr');
  if (!isIdentityMethod(method)) throw new errors.JWTClaimValidationFailed('unknown "amr"', payload, 'amr');
  const groups = Array.isArray(payload.groups) ? payload.groups.filter((g): g is string => typeof g === 'string') : [];
  const identity: Identity =
    method === 'anonymous'
      ? ANONYMOUS
      : {
          subject: text('sub'),
          ...(text('username') === '' ? {} : { username: text('username') }),
          email: text('email'),
          name: text('name'),
          groups,
          scopes: text('scope').split(' ').filter(Boolean),
          method,
          issuer: text('idp'),
        };
  if (method !== 'anonymous' && identity.subject === '')
    throw new errors.JWTClaimValidationFailed('empty "sub"', payload, 'sub');
  const demand = payload[DEMAND] === undefined ? undefined : readDemandClaim(payload[DEMAND]);
  if (demand === undefined && payload[DEMAND] !== undefined)
    throw new errors.JWTClaimValidationFailed(`unreadable "${DEMAND}"`, payload, DEMAND);
  return {
    identity,
    credential: readCredential(payload),
    ...(demand === undefined ? {} : { demand }),
    binding: { method: text('htm'), host: text('hth'), path: text('htp') },
    expiresAt: payload.exp as number,
  };
}

/** @throws JWTClaimValidationFailed where it is there and cannot be read: a stream would outlive its credential */
function readCredential(payload: JWTPayload): Credential {
  const { sid, until } = payload;
  if (sid !== undefined && !isCredentialHandle(sid))
    throw new errors.JWTClaimValidationFailed('unreadable "sid"', payload, 'sid');
  if (until !== undefined && !(typeof until === 'number' && Number.isFinite(until)))
    throw new errors.JWTClaimValidationFailed('unreadable "until"', payload, 'until');
  return {
    ...(sid === undefined ? {} : { handle: sid }),
    ...(until === undefined ? {} : { expiresAt: until * 1000 }),
  };
}
