import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { ConfigurationError } from '../../../platform/errors.ts';
import type { Refusal } from '../../refusal.ts';

const ALGORITHM = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Binds a sealed id to its purpose and layout. */
const PURPOSE = Buffer.from('postern mcp session 1');
const MAX_LENGTH = 4096;

export type OpenedSession = { upstreamId: string } | { reason: 'session_unknown' | 'session_server' | 'session_owner' };

/**
 * Turns a server's session id into one that is worth nothing to anybody but the user who opened the session. Everything
 * needed is inside, so every replica with the same key can open it and none has to remember it.
 */
export class SessionSeal {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** @param owner from `ownerKey(identity)` */
  seal(server: string, upstreamId: string, owner: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, iv);
    cipher.setAAD(PURPOSE);
    const text = JSON.stringify([server, upstreamId, digest(owner)]);
    const parts = [iv, cipher.update(text, 'utf8'), cipher.final()];
    return Buffer.concat([...parts, cipher.getAuthTag()]).toString('base64url');
  }

  open(sealed: string, server: string, owner: string): OpenedSession {
    const content = this.#decrypt(sealed);
    if (content === undefined) return { reason: 'session_unknown' };
    const [sealedServer, upstreamId, sealedOwner] = JSON.parse(content) as [string, string, string];
    if (sealedServer !== server) return { reason: 'session_server' };
    return sealedOwner === digest(owner) ? { upstreamId } : { reason: 'session_owner' };
  }

  #decrypt(sealed: string): string | undefined {
    if (sealed.length > MAX_LENGTH || !/^[\w-]+$/.test(sealed)) return undefined;
    const bytes = Buffer.from(sealed, 'base64url');
    if (bytes.length <= IV_BYTES + TAG_BYTES) return undefined;
    const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(PURPOSE);
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      return decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      return undefined;
    }
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
  return { status: 404, reason, message: 'session not found', code: -32001 };
}
