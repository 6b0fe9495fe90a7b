import { hash } from 'node:crypto';

/** The SHA-256 of a text (RFC 6234) in 43 characters of base64url: a name for what must not be read, or is too long to be one. */
export function digestOf(text: string): string {
  return hash('sha256', text, 'base64url');
}
