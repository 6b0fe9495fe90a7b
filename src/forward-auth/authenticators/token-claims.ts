import { claimAt } from '../../identity/claim-path.ts';
import { readGroups } from '../../identity/group-claims.ts';
import type { Identity } from '../../identity/identity.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import { textsBytes } from '../../platform/retained-bytes.ts';
import { timeFailure } from '../../platform/token-failure.ts';
import type { Rejected } from '../decision/authentication.ts';
import { canonicalResource, type Resource } from '../decision/resources.ts';
import { ID_TOKEN, rejected } from './rejection.ts';
import type { TokenIssuerConfig } from './token-issuer.ts';

type Claims = Readonly<Record<string, unknown>>;

/** Who a token is for. The resource differs from request to request, so the comparison is made for each. */
export interface Audience {
  /** One of the provider's configured audiences, good for every resource. */
  readonly general: boolean;
  /** Canonical resource URIs. */
  readonly resources: ReadonlySet<string>;
  /** Servers by name, and other hosts by origin, that have one of these audiences by configuration. */
  readonly configured: ReadonlySet<string>;
}

/** About what an audience takes in memory. */
export function audienceBytes({ resources, configured }: Audience): number {
  return 400 + textsBytes(resources) + textsBytes(configured);
}

/** The comparison of RFC 8707 §2: each request's own resource, whatever a cache knows about the token. */
export function isFor(
  { general, resources, configured }: Audience,
  resource: Pick<Resource, 'uri' | 'addresses' | 'server'>,
): boolean {
  return (
    general ||
    resource.addresses.some((address) => resources.has(address)) ||
    (configured.size > 0 && configured.has(resource.server ?? resource.uri))
  );
}

/** Hashes that only an ID token carries (OIDC Core §3.1.3.6, §3.3.2.11; FAPI 1.0 Part 2 §5.1.1). */
const ID_TOKEN_HASHES = ['at_hash', 'c_hash', 's_hash'];

/** Where providers write the client that a token was issued to: RFC 9068 §2.2, OIDC Core §2, Entra v1, Okta. */
const CLIENT_CLAIMS = ['client_id', 'azp', 'appid', 'cid'];

/** Claims of people. */
const PERSONAL = ['username', 'preferred_username', 'email', 'name', 'upn'];

/** No person's subject begins with it. */
const PROGRAM_PREFIX = 'client:';

/** Checks times (RFC 7519 §4.1) and that this is an access token. @param now milliseconds */
export function checkClaims(
  claims: Claims,
  header: Claims,
  provider: TokenIssuerConfig,
  now: number,
): Rejected | undefined {
  const seconds = now / 1000;
  const tolerance = provider.clockTolerance / 1000;
  const { exp, nbf, iat } = claims;
  const failed = (claim: string, time: number) =>
    timeFailure(claim, time, { now, clockTolerance: provider.clockTolerance });
  if (!isTime(exp)) return rejected('token_claims', 'the token has no expiry');
  if (seconds >= exp + tolerance) return rejected('token_expired', `the token has expired: ${failed('exp', exp)}`);
  if (nbf !== undefined && !isTime(nbf)) return rejected('token_claims', 'the "nbf" claim is not a time');
  if (nbf !== undefined && nbf > seconds + tolerance)
    return rejected('token_not_yet_valid', `the token is not valid yet: ${failed('nbf', nbf)}`);
  if (iat !== undefined && !isTime(iat)) return rejected('token_claims', 'the "iat" claim is not a time');
  if (iat !== undefined && iat > seconds + tolerance)
    return rejected('token_not_yet_valid', `the token was issued in the future: ${failed('iat', iat)}`);
  if (isIdToken(claims, header)) return ID_TOKEN;
  if (isOtherToken(claims)) return rejected('token_type', 'this is not an access token');
  // RFC 7800 §3.1: such a token is for who holds a key (DPoP, RFC 9449 §6; mutual TLS, RFC 8705 §3). Nothing here proves
  // that, and as a bearer token it would be worth just as much to whoever stole it.
  if (Object.hasOwn(claims, 'cnf'))
    return rejected('token_bound', 'the token is bound to a key (cnf), and only bearer tokens are taken here');
  return checkClient(claims, provider);
}

/** A provider that gives one audience to many applications says by the client which of them a token was made for. */
function checkClient(claims: Claims, { authorizedParties }: TokenIssuerConfig): Rejected | undefined {
  if (authorizedParties.length === 0) return undefined;
  const clients = CLIENT_CLAIMS.filter((name) => Object.hasOwn(claims, name)).map((name) => claims[name]);
  const known = (client: unknown) => typeof client === 'string' && authorizedParties.includes(client);
  if (clients.length > 0 && clients.every(known)) return undefined;
  return rejected('token_client', 'the token was issued to a client that is not accepted here');
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isIdToken(claims: Claims, header: Claims): boolean {
  if (ID_TOKEN_HASHES.some((name) => Object.hasOwn(claims, name))) return true;
  // Keycloak's payload says what a token is, and Cognito's; Keycloak's older access tokens repeat the nonce (OIDC Core §2).
  if (typeof claims.typ === 'string') return claims.typ.toLowerCase() === 'id';
  if (typeof claims.token_use === 'string') return claims.token_use === 'id';
  return Object.hasOwn(claims, 'nonce') && normalType(header.typ) !== 'at+jwt';
}

/** A logout token by its event (OpenID Connect Back-Channel Logout 1.0 §2.4), or one of Keycloak's that is no access token. */
function isOtherToken({ events, typ }: Claims): boolean {
  return events !== undefined || (typeof typ === 'string' && typ.toLowerCase() !== 'bearer');
}

/** Whether a token is for the client that it was issued to, or for ours, and carries no scope: ID tokens of some providers show no more. */
export function isForClient(claims: Claims, { clientId, claims: names }: TokenIssuerConfig): boolean {
  const [audience, ...others] = [claims.aud].flat();
  if (typeof audience !== 'string' || others.length > 0) return false;
  const scoped = names.scopes.some((name) => claimAt(claims, name) !== undefined);
  return !scoped && (audience === clientId || CLIENT_CLAIMS.some((name) => claims[name] === audience));
}

/** `typ` without case and without `application/` (RFC 7515 §4.1.9). A token without counts as `jwt`. */
export function normalType(typ: unknown): string {
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : 'jwt';
}

/** An issuer knows few audiences, and each token names one of them again. */
const canonical = new BoundedCache<string, string>({ max: 1_000 });

function canonicalAudience(value: string): string {
  let found = canonical.get(value);
  if (found === undefined) {
    found = canonicalResource(value);
    if (value.length <= 1_024) canonical.set(value, found);
  }
  return found;
}

/** @returns undefined where `aud` is no text, or missing and the client does not stand for it */
export function readAudience(claims: Claims, provider: TokenIssuerConfig): Audience | undefined {
  if (claims.aud === undefined) return clientAudience(claims, provider);
  const values = typeof claims.aud === 'string' ? [claims.aud] : claims.aud;
  if (!Array.isArray(values) || !values.every((value) => typeof value === 'string')) return undefined;
  return { ...configuredAudience(values, provider), resources: new Set(values.map(canonicalAudience)) };
}

/** Cognito's access tokens, and Keycloak's where no client is an audience, say only to whom they were issued. */
function clientAudience(claims: Claims, provider: TokenIssuerConfig): Audience | undefined {
  if (!provider.clientAsAudience) return undefined;
  const clients = new Set(CLIENT_CLAIMS.map((name) => claims[name]).filter((client) => client !== undefined));
  const [client] = clients;
  return clients.size === 1 && typeof client === 'string' ? configuredAudience([client], provider) : undefined;
}

/** What the operator says that these values are for, and nothing that they say themselves. */
export function configuredAudience(values: readonly string[], provider: TokenIssuerConfig): Audience {
  const known = (accepted: readonly string[]) => values.some((value) => accepted.includes(value));
  const configured = Object.entries(provider.serverAudiences)
    .filter(([, accepted]) => known(accepted))
    .map(([name]) => name);
  return { general: known(provider.audiences), resources: new Set(), configured: new Set(configured) };
}

/**
 * Who an access token stands for, a person or a program.
 *
 * @returns undefined where there is no subject, or one that only a program can have
 */
export function readIdentity(claims: Claims, provider: TokenIssuerConfig): Identity | undefined {
  const named = subjectOf(claims, provider);
  const program = programOf(claims);
  const isPrograms = program !== '' && (named === program || (named === '' && !isPersonal(claims)));
  // The operator who takes the client for the subject says that no person has tokens there.
  if (CLIENT_CLAIMS.includes(provider.claims.subject))
    return identityOf(isPrograms ? program : named, claims, provider);
  return isPrograms ? identityOf(programSubject(program), claims, provider) : personOf(named, claims, provider);
}

/**
 * Who an ID token or an assertion stands for: always a person, even one who is called like the client.
 *
 * @returns undefined where there is no subject, or one that only a program can have
 */
export function readPerson(claims: Claims, provider: TokenIssuerConfig): Identity | undefined {
  return personOf(subjectOf(claims, provider), claims, provider);
}

/**
 * The subject of a program that signed in as itself. Client ids are unique among clients only, and some issuers let anybody
 * choose one: without the prefix a client called like a person would be that person (RFC 9068 §5).
 */
export function programSubject(clientId: string): string {
  return `${PROGRAM_PREFIX}${clientId}`;
}

function personOf(subject: string, claims: Claims, provider: TokenIssuerConfig): Identity | undefined {
  return subject.startsWith(PROGRAM_PREFIX) ? undefined : identityOf(subject, claims, provider);
}

function identityOf(subject: string, claims: Claims, provider: TokenIssuerConfig): Identity | undefined {
  if (subject === '') return undefined;
  const names = provider.claims;
  const username = text(claimAt(claims, names.username));
  return {
    subject,
    ...(username === '' ? {} : { username }),
    email: isUnverified(claims.email_verified) ? '' : emailOf(claimAt(claims, names.email)),
    name: text(claimAt(claims, names.name)),
    groups: readGroups(claims, names),
    scopes: [...new Set(names.scopes.flatMap((name) => words(claimAt(claims, name))))].filter(isScope),
    method: 'bearer',
    issuer: provider.issuer,
  };
}

/** What the provider calls the subject; empty where it says nothing that counts. */
function subjectOf(claims: Claims, { claims: names }: TokenIssuerConfig): string {
  const named = text(claimAt(claims, names.subject));
  // Whoever may write any address into their account would otherwise become its owner.
  const isAddress = names.subject === 'email' || (names.subject === names.email && named.includes('@'));
  if (!isAddress) return named;
  return isUnverified(claims.email_verified) ? '' : emailOf(named);
}

/**
 * The client, where the token is for itself (RFC 6749 §4.4): without a subject, or with the client as the subject
 * (RFC 9068 §2.2), whichever claim names it. Empty where it is somebody else's.
 */
function programOf(claims: Claims): string {
  const clients = CLIENT_CLAIMS.map((name) => text(claims[name])).filter(Boolean);
  return (claims.sub === undefined ? clients[0] : clients.find((client) => client === claims.sub)) ?? '';
}

/** A person's token whose claim is missing must not make them the client. */
function isPersonal(claims: Claims): boolean {
  return PERSONAL.some((name) => Object.hasOwn(claims, name));
}

/** Some providers send the claim as text; one that is absent says nothing against the address. */
function isUnverified(claim: unknown): boolean {
  return claim !== undefined && claim !== true && claim !== 'true';
}

/** RFC 6749 §3.3: an entry of a list that holds a space would become two scopes where they are joined again. */
function isScope(value: string): boolean {
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** An address with several `@` means different domains to different readers: it counts as none. */
function emailOf(value: unknown): string {
  return typeof value === 'string' && /^[^@\s]+@[^@\s]+$/.test(value) ? value : '';
}

function words(value: unknown): string[] {
  const values = typeof value === 'string' ? value.split(/\s+/) : value;
  return Array.isArray(values) ? values.filter((item) => typeof item === 'string' && item !== '') : [];
}
