import { ANONYMOUS, type Identity, isIdentityMethod } from './identity.ts';

/** The header names of the contract, in the order in which they are sent. */
export const IDENTITY_HEADERS = {
  user: 'X-Authenticated-User',
  email: 'X-Authenticated-Email',
  name: 'X-Authenticated-Name',
  groups: 'X-Authenticated-Groups',
  scopes: 'X-Authenticated-Scopes',
  method: 'X-Authenticated-Method',
  issuer: 'X-Authenticated-Issuer',
  assertion: 'X-Authenticated-Assertion',
} as const;

export const IDENTITY_HEADER_NAMES: readonly string[] = Object.values(IDENTITY_HEADERS);

/**
 * Names by which other products pass an identity. A client must never be able to send one of them through Postern to a
 * server that believes it.
 */
const FOREIGN_IDENTITY_HEADERS: readonly string[] = [
  'X-Auth-Request-User',
  'X-Auth-Request-Email',
  'X-Auth-Request-Groups',
  'X-Auth-Request-Preferred-Username',
  'X-Auth-Request-Access-Token',
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded-Preferred-Username',
  'X-Forwarded-Access-Token',
  'Remote-User',
  'Remote-Email',
  'Remote-Name',
  'Remote-Groups',
  'X-Remote-User',
  'X-User-Id',
  'Cf-Access-Authenticated-User-Email',
  'Cf-Access-Jwt-Assertion',
  'X-Amzn-Oidc-Identity',
  'X-Amzn-Oidc-Data',
  'X-Amzn-Oidc-Accesstoken',
  'X-Goog-Authenticated-User-Email',
  'X-Goog-Authenticated-User-Id',
  'X-Goog-Iap-Jwt-Assertion',
  'X-Pomerium-Jwt-Assertion',
  'X-Pomerium-Claim-Email',
  'X-Authentik-Username',
  'X-Authentik-Email',
  'X-Authentik-Groups',
  'X-Authentik-Name',
  'X-Authentik-Uid',
  'X-Authentik-Jwt',
  'X-Pomerium-Claim-Sub',
  'Tailscale-User-Login',
  'Tailscale-User-Name',
  'X-WEBAUTH-USER',
  'X-WEBAUTH-EMAIL',
  'X-WEBAUTH-NAME',
  'X-WEBAUTH-GROUPS',
  'X-WEBAUTH-ROLE',
];

/**
 * What a header name becomes where a program folds it into a variable name (CGI, WSGI, Traefik's and nginx's aliases):
 * every character that is no letter or digit counts as the same one. RFC 9110 §17.10 warns of this.
 */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

const ownNames = new Set(IDENTITY_HEADER_NAMES.map((name) => name.toLowerCase()));
const foldedOwn = new Set(IDENTITY_HEADER_NAMES.map(foldHeaderName));
const foldedForeign = new Set(FOREIGN_IDENTITY_HEADERS.map(foldHeaderName));

/**
 * What a received header name means for identity.
 *
 * - `identity`: exactly one of ours (any case)
 * - `alias`: another spelling of one of ours, such as `X_Authenticated_User`; never legitimate
 * - `foreign`: another product's identity header, or an alias of one
 * - `none`: nothing to do with identity
 *
 * @param extra folded names that count as identity headers as well, such as a configured `PROXY_USER_HEADER`
 */
export function classifyHeader(name: string, extra?: ReadonlySet<string>): 'identity' | 'alias' | 'foreign' | 'none' {
  const lower = name.toLowerCase();
  if (ownNames.has(lower)) return 'identity';
  const folded = foldHeaderName(lower);
  if (foldedOwn.has(folded)) return 'alias';
  if (extra?.has(folded)) return folded === lower ? 'identity' : 'alias';
  return foldedForeign.has(folded) ? 'foreign' : 'none';
}

/** The identity headers of an allow, always all of them, as name and value pairs. Values are safe for a header field. */
export function toHeaders(identity: Identity, assertion: string): Array<[name: string, value: string]> {
  return [
    [IDENTITY_HEADERS.user, encodeValue(identity.subject)],
    [IDENTITY_HEADERS.email, encodeValue(identity.email)],
    [IDENTITY_HEADERS.name, encodeValue(identity.name)],
    [IDENTITY_HEADERS.groups, identity.groups.map((group) => encodeValue(group, ',')).join(',')],
    [IDENTITY_HEADERS.scopes, identity.scopes.map((scope) => encodeValue(scope, ' ')).join(' ')],
    [IDENTITY_HEADERS.method, identity.method],
    [IDENTITY_HEADERS.issuer, encodeValue(identity.issuer)],
    [IDENTITY_HEADERS.assertion, assertion],
  ];
}

/**
 * Reads the identity back from headers that a proven proxy sent. Call it only after the proof.
 *
 * @param get looks a header up by lower-case name; duplicates must have been refused before
 * @returns anonymous where there is no user
 */
export function fromHeaders(get: (lowerCaseName: string) => string | undefined): Identity {
  const value = (name: string) => get(name.toLowerCase())?.trim() ?? '';
  const subject = decodeValue(value(IDENTITY_HEADERS.user));
  if (subject === '') return ANONYMOUS;
  const method = value(IDENTITY_HEADERS.method);
  return {
    subject,
    email: decodeValue(value(IDENTITY_HEADERS.email)),
    name: decodeValue(value(IDENTITY_HEADERS.name)),
    groups: split(value(IDENTITY_HEADERS.groups), ','),
    scopes: split(value(IDENTITY_HEADERS.scopes), ' '),
    method: isIdentityMethod(method) && method !== 'anonymous' ? method : 'bearer',
    issuer: decodeValue(value(IDENTITY_HEADERS.issuer)),
  };
}

function split(value: string, delimiter: string): string[] {
  return value
    .split(delimiter)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(decodeValue);
}

const LONE_SURROGATE = /\p{Surrogate}/gu;
const UNSAFE = /[^\x20-\x7e]|%|^ | $/gu;
const UNSAFE_IN_LIST = {
  ',': /[^\x20-\x7e]|[%,]|^ | $/gu,
  ';': /[^\x20-\x7e]|[%;]|^ | $/gu,
  '|': /[^\x20-\x7e]|[%|]|^ | $/gu,
  ' ': /[^\x21-\x7e]|%/gu,
};

/** What can stand between the values of a list in one header. */
export type ListDelimiter = keyof typeof UNSAFE_IN_LIST;

/** Percent-encodes what may not stand in a field value (RFC 9110 §5.5), `%` itself, and the list's delimiter. */
export function encodeValue(value: string, delimiter?: ListDelimiter): string {
  const unsafe = delimiter === undefined ? UNSAFE : UNSAFE_IN_LIST[delimiter];
  return value
    .replace(LONE_SURROGATE, '\ufffd')
    .replace(unsafe, (char) => (char === ',' ? '%2C' : encodeURIComponent(char)));
}

function decodeValue(value: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
