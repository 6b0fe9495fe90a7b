import type { SessionSlot } from './member.ts';

/** Where the session of each server is, within one session of a client. */
export class SessionSlots {
  readonly #slots = new Map<string, SessionSlot>();

  /** @param sessions by server, as an id of a session holds them */
  constructor(sessions: Readonly<Record<string, string>> = {}) {
    for (const [server, session] of Object.entries(sessions)) this.#slots.set(server, { session, opening: undefined });
  }

  of(server: string): SessionSlot {
    const known = this.#slots.get(server);
    if (known !== undefined) return known;
    const slot: SessionSlot = { session: undefined, opening: undefined };
    this.#slots.set(server, slot);
    return slot;
  }

  /** Those that are open. */
  sessions(): Record<string, string> {
    const open: Record<string, string> = {};
    for (const [server, { session }] of this.#slots) if (session !== undefined) open[server] = session;
    return open;
  }
}
