import { isRecord } from '../../platform/is-record.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import type { ListMethod } from './listings.ts';

/** Where each server that has more goes on. */
export type Positions = ReadonlyMap<string, string>;

/** Characters of what one server may call a place in its list, and of the common cursor. */
export const MAX_SERVER_CURSOR = 4096;
const MAX_CURSOR = 256 * 1024;
const PURPOSE = 'list cursor';

/**
 * Cursors of common lists. A server's cursor is text that it trusts, so a client that could make one up would speak to a
 * server past the relay's checks: they are sealed, and hold for one list of one user.
 */
export class Cursors {
  readonly #sealing: Sealing;

  constructor(sealing: Sealing) {
    this.#sealing = sealing;
  }

  /** @param owner from `ownerKey(identity)` */
  seal(method: ListMethod, owner: string, positions: Positions): string {
    return this.#sealing.seal(PURPOSE, JSON.stringify({ method, owner, positions: [...positions] }));
  }

  /** @returns undefined for whatever is no cursor of this list for this user */
  open(method: ListMethod, owner: string, cursor: string): Positions | undefined {
    const content = cursor.length > MAX_CURSOR ? undefined : this.#sealing.open(PURPOSE, cursor);
    const opened: unknown = content === undefined ? undefined : JSON.parse(content.toString());
    if (!isRecord(opened) || opened.method !== method || opened.owner !== owner) return undefined;
    return new Map(opened.positions as Array<[string, string]>);
  }
}
