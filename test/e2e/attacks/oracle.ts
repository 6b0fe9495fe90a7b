import type { JWTVerifyGetKey } from 'jose';
import { EMITTED_NAMES, FAMILIES, KNOWN_MEMBERS, OVERRIDES } from '../../../deploy/source/edge-headers.ts';
import { canonicalHost } from '../../../src/forward-auth/decision/target.ts';
import { type VerifiedAssertion, verifyAssertion } from '../../../src/identity/assertion.ts';
import { classifyHeader, foldHeaderName, IDENTITY_HEADERS, toHeaders } from '../../../src/identity/headers.ts';
import { PRESET_HEADERS } from '../../../src/identity/presets.ts';
import { namesOf, type Seen, valuesOf } from './witness.ts';

const PRESET_NAMES = Object.values(PRESET_HEADERS).flatMap((names) => names.map(([name]) => name));
/** What no proxy may let through, however it removes. */
const KNOWN = new Set([...PRESET_NAMES, ...EMITTED_NAMES, ...KNOWN_MEMBERS, ...OVERRIDES].map(foldHeaderName));

/** Whether an application could take it for the word of the proxy, by any reading of the name. */
function believed(name: string): boolean {
  const folded = foldHeaderName(name);
  return KNOWN.has(folded) || FAMILIES.some((family) => folded.startsWith(`${family.toLowerCase()}-`));
}

/** What every forged value holds. */
export const FORGER = 'mallory';
/** A host whose `/admin` is open to all, so that it matters which host is believed. */
export const OPEN_HOST = 'open.example';

export interface Expected {
  readonly keys: JWTVerifyGetKey;
  readonly issuer: string;
  /** Undefined: a certificate proves the proxy. */
  readonly secret: string | undefined;
  /** The only credential of the attacker: that of alice. */
  readonly tokens: ReadonlySet<string>;
}

/**
 * What is wrong with a request that reached the upstream, whatever was sent: the signed assertion says what forward-auth
 * allowed and for whom, so everything else has to agree with it.
 */
export async function breaches(seen: Seen, expected: Expected, scheme: 'http' | 'https' = 'http'): Promise<string[]> {
  const raw = seen.rawHeaders;
  const wrong: string[] = [];
  const assertions = valuesOf(raw, IDENTITY_HEADERS.assertion);
  if (assertions.length !== 1) return [`${assertions.length} assertions`];
  const verified = await verifyAssertion(assertions[0] as string, expected.keys, {
    issuer: expected.issuer,
    audience: 'postern-relay',
    now: new Date(),
    clockTolerance: 5,
  }).catch((error: Error) => error);
  if (verified instanceof Error) return [`the assertion is not forward-auth's: ${verified.message}`];
  wrong.push(...unbound(seen, verified, scheme), ...misstated(raw, verified), ...undeserved(seen, verified, expected));
  const secrets = valuesOf(raw, 'X-Postern-Proxy-Secret');
  if (expected.secret !== undefined && (secrets.length !== 1 || secrets[0] !== expected.secret))
    wrong.push(`${secrets.length} proofs, or a forged one`);
  for (const name of namesOf(raw))
    if (KNOWN.has(name.toLowerCase()) && valuesOf(raw, name).some((value) => value.includes(FORGER)))
      wrong.push(`forged ${name}`);
  return wrong;
}

/** Another request than the one that was allowed. */
function unbound(seen: Seen, { binding }: VerifiedAssertion, scheme: 'http' | 'https'): string[] {
  const wrong: string[] = [];
  const path = seen.url.split('?', 1)[0];
  if (binding.method !== seen.method) wrong.push(`allowed ${binding.method}, sent ${seen.method}`);
  if (binding.path !== path) wrong.push(`allowed ${binding.path}, sent ${path}`);
  const hosts = valuesOf(seen.rawHeaders, 'host').map((host) => canonicalHost(host, scheme));
  if (hosts.length !== 1 || hosts[0] !== binding.host) wrong.push(`allowed ${binding.host}, sent ${hosts.join()}`);
  return wrong;
}

/** Plain headers that say other than the signature. */
function misstated(raw: readonly string[], { identity }: VerifiedAssertion): string[] {
  const wrong: string[] = [];
  for (const [name, value] of toHeaders(identity, '')) {
    if (name === IDENTITY_HEADERS.assertion) continue;
    const values = valuesOf(raw, name);
    if (values.length > 1 || (values[0] ?? '') !== value) wrong.push(`${name} is ${JSON.stringify(values)}`);
  }
  return wrong;
}

/** More than the credential in this very request gives. */
function undeserved(seen: Seen, { identity, binding }: VerifiedAssertion, expected: Expected): string[] {
  const zone = zoneOf(seen.url);
  const tokens = valuesOf(seen.rawHeaders, 'authorization').map((value) => value.replace(/^bearer /i, ''));
  const presented = tokens.length === 1 && expected.tokens.has(tokens[0] as string);
  if (identity.subject !== '' && !(identity.subject === 'alice' && presented))
    return [`${identity.subject} without a credential`];
  if (zone === 'admin' && binding.host.split(':')[0] !== OPEN_HOST)
    return ['the path can be read as one of the administrators'];
  if (zone === 'app' && identity.subject === '') return ['the path can be read as one that needs a user'];
  if (zone === 'public' && identity.subject !== '') return ['an identity on a public path'];
  return [];
}

/** By the most generous reading that any server could have of a path. */
export function zoneOf(url: string): string {
  let path = url.split(/[?#]/, 1)[0] as string;
  for (let i = 0; i < 5; i++)
    path = path.replace(/%([0-9a-f]{2})/gi, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  path = path
    .replace(/\u00c0[\u00af\u002f]|\u00e0\u0080\u00af/g, '/')
    .replace(/\u00c0\u00ae|\u00e0\u0080\u00ae/g, '.')
    .replaceAll('\\', '/')
    .replaceAll('\0', '');
  const segments: string[] = [];
  for (const part of path.split('/')) {
    const segment = (part.split(';', 1)[0] as string).trim();
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment.toLowerCase());
  }
  const first = (segments[0] === 'packages' && segments[1] === 'admin' ? 'admin' : segments[0]) ?? '';
  return first === 'servers' || first === 'packages' ? 'app' : first;
}

/** Spellings of identity headers, known or not yet, of which forward-auth said nothing. */
export function leftToTheRelay(seen: Seen): string[] {
  const trailers = namesOf(seen.rawTrailers).filter((name) => classifyHeader(name) !== 'none');
  const headers = namesOf(seen.rawHeaders).filter(
    (name) =>
      classifyHeader(name) !== 'identity' &&
      believed(name) &&
      valuesOf(seen.rawHeaders, name).some((value) => value.includes(FORGER)),
  );
  return [...headers, ...trailers.map((name) => `trailer ${name}`)];
}
