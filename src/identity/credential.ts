import { hash } from 'node:crypto';

/** What an identity rests on, as far as it can end: told with the identity, so that a stream that was opened by it ends too. */
export interface Credential {
  /** From `credentialHandle`; undefined: Postern cannot take this credential back. */
  readonly handle?: string;
  /** Unix time in milliseconds; undefined: it has no end, or nobody knows. */
  readonly expiresAt?: number;
}

export type CredentialKind = 'session' | 'api-key' | 'grant';

const HANDLE = /^[\w-]{22}$/;

/**
 * The name of a credential towards the MCP servers' side: the same each time, and good for nothing but being compared.
 *
 * @param id key of the session, id of the API key or of the grant
 */
export function credentialHandle(kind: CredentialKind, id: string): string {
  return hash('sha256', JSON.stringify(['postern credential 1', kind, id]), 'base64url').slice(0, 22);
}

export function isCredentialHandle(text: unknown): text is string {
  return typeof text === 'string' && HANDLE.test(text);
}
