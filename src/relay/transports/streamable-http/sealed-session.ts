import { createHash, randomBytes } from 'node:crypto';
import { ConfigurationError } from '../../../platform/errors.ts';
import { NO_SESSION } from '../../protocol/error-codes.ts';
import type { Refusal } from '../../refusal.ts';
import { SealedText } from '../../sealed-text.ts';

const PURPOSE = 'postern mcp session 1';
const MAX_LENGTH = 4096;

export type OpenedSession = { upstreamId: string } | { reason: 'session_unknown' | 'session_server' | 'session_owner' };

/**
 * Turns a server's session id into one that is worth nothing to anybody but the user who opened the session. Everything
 * needed is inside, so every replica with the same key can open it and none has to remember it.
 */
export class SessionSeal {
  readonly #sealed: SealedText;

  constructor(key: Buffer) {
    this.#sealed = new SealedText(key, PURPOSE, MAX_LENGTH);
  }

  /** @param owner from `ownerKey(identity)` */
  seal(server: string, upstreamId: string, owner: string): string {
    return this.#sealed.seal(JSON.stringify([server, upstreamId, digest(owner)]));
  }

  open(sealed: string, server: string, owner: string): OpenedSession {
    const content = this.#sealed.open(sealed);
    if (content === undefined) return { reason: 'session_unknown' };
    const [sealedServer, upstreamId, sealedOwner] = JSON.parse(content) as [string, string, string];
    if (sealedServer !== server) return { reason: 'session_server' };
    return sealedOwner === digest(owner) ? { upstreamId } : { reason: 'session_owner' };
  }
}

/** @throws ConfigurationError where the configured key has not 32 bytes */
export function sessionKey(configured: string | undefined): Buffer {
  if (configured === undefined) return randomBytes(32);
  const key = Buffer.from(configured, 'base64url');
  if (key.length !== 32 || !/^[\w-]+=?$/.test(configured))
    throw new ConfigurationError(['relay.sessionKey: must be 32 bytes as base64url; `postern secrets` makes one']);
  return key;
}

function digest(owner: string): string {
  return createHash('sha256').update(owner).digest('base64url');
}

/** The same answer for all three, so that it says nothing of other people's sessions. */
export function noSession(reason: 'session_unknown' | 'session_server' | 'session_owner'): Refusal {
  return { status: 404, reason, message: 'session not found', code: NO_SESSION };
}
