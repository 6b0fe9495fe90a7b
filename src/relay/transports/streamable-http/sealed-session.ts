import { digestOf } from '../../../platform/digest.ts';
import { openUnnamed } from '../../../platform/sealing/sealing.ts';
import type { RotatingSealing } from '../../../platform/sealing/sealing-keys.ts';
import { NO_SESSION } from '../../protocol/error-codes.ts';
import type { Refusal } from '../../refusal.ts';

const PURPOSE = 'mcp session';
/** Of ids that were given out before their keys were named; they go with the next release. */
const UNNAMED_PURPOSE = 'postern mcp session 1';

export type UnsealedSession =
  | {
      upstreamId: string;
      /** Of the server that the session began with; undefined: it was not told. */
      definition: string | undefined;
    }
  | { reason: 'session_unknown' | 'session_server' | 'session_owner' };

/**
 * Turns a server's session id into one that is worth nothing to anybody but the user who opened the session. Everything
 * needed is inside, so every replica with the same key can open it and none has to remember it.
 */
export class SessionSeal {
  readonly #sealing: RotatingSealing;

  constructor(sealing: RotatingSealing) {
    this.#sealing = sealing;
  }

  /**
   * @param owner from `ownerKey(identity)`
   * @param definition of the server, which a reload of the configuration may replace
   */
  seal(server: string, upstreamId: string, owner: string, definition?: string): string {
    return this.#sealing.seal(PURPOSE, JSON.stringify([server, upstreamId, digestOf(owner), definition]));
  }

  open(sealed: string, server: string, owner: string): UnsealedSession {
    const content = this.#sealing.open(PURPOSE, sealed) ?? openUnnamed(this.#sealing.keys(), UNNAMED_PURPOSE, sealed);
    if (content === undefined) return { reason: 'session_unknown' };
    type Content = [server: string, upstreamId: string, owner: string, definition?: string | null];
    const [sealedServer, upstreamId, sealedOwner, definition] = JSON.parse(content.toString()) as Content;
    if (sealedServer !== server) return { reason: 'session_server' };
    if (sealedOwner !== digestOf(owner)) return { reason: 'session_owner' };
    return { upstreamId, definition: definition ?? undefined };
  }
}

/** The same answer for all three, so that it says nothing of other people's sessions. */
export function noSession(reason: 'session_unknown' | 'session_server' | 'session_owner'): Refusal {
  return { status: 404, reason, message: 'session not found', code: NO_SESSION };
}
