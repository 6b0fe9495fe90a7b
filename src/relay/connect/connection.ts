import { type Identity, ownerKey } from '../../identity/identity.ts';
import { digestOf } from '../../platform/digest.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import type { Documents } from '../../stores/stores.ts';

/** One person's account at the provider of one MCP server. */
export interface Connection {
  /** Goes up by one with each change. */
  readonly version: number;
  /** Who it belongs to: `ownerKey` of their identity. */
  readonly owner: string;
  readonly server: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly accessToken: string;
  /** Unix time in milliseconds; absent where the provider does not say. */
  readonly expiresAt?: number;
  readonly refreshToken?: string;
  /** What the provider calls the account, where it says so. */
  readonly account?: string;
  /** Unix time in milliseconds. */
  readonly connectedAt: number;
  /** It cannot be used any more: the provider ended it, or the MCP server refuses it. */
  readonly broken?: boolean;
}

const COLLECTION = 'upstream-connections';

/** Where connections are kept, sealed: each for its owner and server only. */
export class ConnectionStore {
  readonly #documents: Documents;
  readonly #sealing: Sealing;
  readonly #keep: number;
  readonly #now: () => number;

  /** @param keep milliseconds */
  constructor(documents: Documents, sealing: Sealing, keep: number, now: () => number) {
    this.#documents = documents;
    this.#sealing = sealing;
    this.#keep = keep;
    this.#now = now;
  }

  /** @returns undefined also where no key of ours opens it: whoever lost the keys must let people connect again */
  async read(identity: Identity, server: string): Promise<Connection | undefined> {
    const id = connectionId(identity, server);
    const sealed = await this.#documents.get(COLLECTION, id);
    const text = sealed === undefined ? undefined : this.#sealing.open(purpose(id), sealed);
    if (text === undefined) return undefined;
    const connection = JSON.parse(text.toString()) as Connection;
    return connection.owner === ownerKey(identity) && connection.server === server ? connection : undefined;
  }

  /** Call it only with the lock `connectionId` held. */
  async write(identity: Identity, connection: Connection): Promise<void> {
    const id = connectionId(identity, connection.server);
    const sealed = this.#sealing.seal(purpose(id), JSON.stringify(connection));
    await this.#documents.put(COLLECTION, id, sealed, this.#now() + this.#keep);
  }

  async remove(identity: Identity, server: string): Promise<boolean> {
    return this.#documents.remove(COLLECTION, connectionId(identity, server));
  }
}

/** Says nothing about anybody to whoever sees the store. */
export function connectionId(identity: Identity, server: string): string {
  return digestOf(JSON.stringify([ownerKey(identity), server]));
}

function purpose(id: string): string {
  return `upstream connection ${id}`;
}
