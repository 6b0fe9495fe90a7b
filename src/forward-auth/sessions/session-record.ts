import { digestOf } from '../../platform/digest.ts';
import { identityBytes, textsBytes } from '../../platform/retained-bytes.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import type { SessionEntry } from '../../stores/stores.ts';
import type { Session } from './session.ts';

/** Bytes of a session without texts, and of its place in a cache. */
const OVERHEAD = 600;

/** A cookie's value: 256 random bits. Everything else was forged, and nobody needs to ask the store about it. */
const ID = /^[\w-]{43}$/;

export function isSessionId(text: string): boolean {
  return ID.test(text);
}

/** The name of a session in the store; whoever reads the store cannot make a cookie of it. */
export function keyOf(id: string): string {
  return digestOf(id);
}

/** Term under which the sessions of one person are found; subjects are unique per issuer only (OIDC Core §5.7). */
export function ownerTerm(issuer: string, subject: string): string {
  return hashed('postern session owner 1', issuer, subject);
}

/** Term under which all sessions are found. */
export const EVERY = hashed('postern session every 1');

/** Term of a session at the provider (`sid`, OpenID Connect Back-Channel Logout 1.0 §2.1). */
export function providerTerm(issuer: string, sid: string): string {
  return hashed('postern provider session 1', issuer, sid);
}

/** @returns the session as the store keeps it, version included in what is sealed */
export function toEntry(session: Session, expiresAt: number, sealing: Sealing): SessionEntry {
  const { key, version, ...contents } = session;
  const { identity, providerSession } = session;
  const indexes = [ownerTerm(identity.issuer, identity.subject), EVERY];
  if (providerSession !== undefined) indexes.push(providerTerm(identity.issuer, providerSession));
  return { key, version, value: sealing.seal(purpose(key, version), JSON.stringify(contents)), indexes, expiresAt };
}

/** @returns undefined where this is nothing that we sealed for this key and version */
export function fromEntry(entry: SessionEntry, sealing: Sealing): Session | undefined {
  const { key, version } = entry;
  const text = sealing.open(purpose(key, version), entry.value);
  if (text === undefined) return undefined;
  return { ...(JSON.parse(text.toString('utf8')) as Omit<Session, 'key' | 'version'>), key, version };
}

/** About what a session takes in memory; the tokens of its provider most of all. */
export function sessionBytes({ tokens, identity, userAgent, address }: Session): number {
  const { accessToken, refreshToken = '', idToken = '' } = tokens;
  return OVERHEAD + identityBytes(identity) + textsBytes([accessToken, refreshToken, idToken, userAgent, address]);
}

function purpose(key: string, version: number): string {
  return `session 1 ${key} ${version}`;
}

function hashed(domain: string, ...parts: string[]): string {
  return digestOf(JSON.stringify([domain, ...parts]));
}
