import type { Refusal } from '../refusal.ts';
import type { Caller } from '../trust/caller.ts';

/** What headers may say of the client's request: who it is, and headers of its own. */
export type Origin = Pick<Caller, 'identity' | 'rawHeaders'>;

/** Names and values in turn, as undici takes them. */
export type Fields = readonly string[];

/** A request to an MCP server, as far as its headers depend on it. */
export interface Outgoing {
  readonly method: string;
  /** On whose behalf; undefined: the relay's own. */
  readonly caller: Origin | undefined;
  /**
   * Whether the client can lead its person to an address: `true` where an error tells it to (-32042, 2025-11-25), `by-result`
   * where a result does (2026-07-28).
   */
  readonly elicitsUrls?: boolean | 'by-result' | undefined;
}

/**
 * How requests to one MCP server prove themselves. Without a credential no request goes out: what cannot be had is a refusal
 * where the person has to do something, and otherwise `DependencyUnavailable`.
 */
export interface Credential {
  /** Lower-case names that only the credential may set. */
  readonly names: readonly string[];
  /** @throws DependencyUnavailable */
  fields(outgoing: Outgoing): Fields | Refusal | Promise<Fields | Refusal>;
  /**
   * The server answered 401 to `refused`.
   *
   * @param last it was the second time
   * @returns other fields, tried once where this is not the last time; undefined: there are none
   * @throws DependencyUnavailable
   */
  renew(outgoing: Outgoing, refused: Fields, last: boolean): Promise<Fields | Refusal | undefined>;
}
