import { createHash } from 'node:crypto';
import { openUnnamed } from '../../../platform/sealing/sealing.ts';
import type { OpenedSealing } from '../../../platform/sealing/sealing-keys.ts';
import { NO_SESSION } from '../../protocol/error-codes.ts';
import type { Refusal } from '../../refusal.ts';

const PURPOSE = 'mcp session';
/** Of ids that were given out before their keys were named; they go with the next release. */
const UNNAMED_PURPOSE = 'postern mcp session 1';

export type OpenedSession = { upstreamId: string } | { reason: 'session_unknown' | 'session_server' | 'session_owner' };

/**
 * Turns a server's session id into one that is worth nothing to anybody but the user who opened the session. Everything
 * needed is inside, so every replica with the same key can open it and none has to remember it.
 */
export class SessionSeal {
  readonly #sealing: OpenedSealing;

  constructor(sealing: OpenedSealing) {
    this.#sealing = sealing;
  }

  /** @param owner from `ownerKey(identity)` */
  seal(server: string, upstreamId: string, owner: string): string {
    return this.#sealing.seal(PURPOSE, JSON.stringify([server, upstreamId, digest(owner)]));
  }

  open(sealed: string, server: string, owner: string): OpenedSession {
    const content = this.#sealing.open(PURPOSE, sealed) ?? openUnnamed(this.#sealing.keys(), UNNAMED_PURPOSE, sealed);
    if (content === undefined) return { reason: 'session_unknown' };
    const [sealedServer, upstreamId, sealedOwner] = JSON.parse(content.toString()) as [string, string, string];
    if (sealedServer !== server) return { reason: 'session_server' };
    return sealedOwner === digest(owner) ? { upstreamId } : { reason: 'session_owner' };
  }
}

function digest(owner: string): string {
  return createHash('sha256').update(owner).digest('base64url');
}

/** The same answer for all three, so that it says nothing of other people's sessions. */
export function noSession(reason: 'session_unknown' | 'session_server' | 'session_owner'): Refusal {
  return { status: 404, reason, message: 'session not found', code: NO_SESSION };
}
