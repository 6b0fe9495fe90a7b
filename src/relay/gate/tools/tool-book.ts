import { isRecord } from '../../../platform/is-record.ts';
import { MAX_NAME } from '../../protocol/name-bounds.ts';
import { describe, merged, rejectionOf, type ToolRecord, UNREADABLE } from './tool-record.ts';

/** What becomes of tools that were not there before; undefined: nothing is pinned. */
export type NewTools = 'first-list' | 'trust' | 'hold';

/** The tools of one server, as they are kept and exchanged. */
export interface ServerTools {
  /** A list has been seen to its end. */
  readonly complete: boolean;
  readonly tools: Readonly<Record<string, ToolRecord>>;
}

/** Tools kept of one server. More than that is a server gone wrong, and the rest counts as unlisted. */
export const MAX_TOOLS = 2_000;

/** Milliseconds after its first page for which a server's first list may go on. */
export const FIRST_LIST = 60_000;

interface Known {
  complete: boolean;
  readonly tools: Map<string, ToolRecord>;
  /** When the first page of a list came. */
  begunAt: number | undefined;
  /** Who has asked for a list from its start. */
  readonly begunBy: Set<string>;
}

/** A tool that waits for an operator. */
export interface PendingTool {
  readonly server: string;
  readonly tool: string;
  readonly listed: string;
  readonly pinned: string | undefined;
  readonly listedAt: number;
  /** When an operator rejected this definition; undefined: not rejected. */
  readonly rejectedAt: number | undefined;
}

/** What servers listed, as far as it went through here. Bounded: names come from servers only, never from a client. */
export class ToolBook {
  readonly #servers = new Map<string, Known>();
  readonly #pinning: (server: string) => NewTools | undefined;

  constructor(pinning: (server: string) => NewTools | undefined) {
    this.#pinning = pinning;
  }

  get(server: string, tool: string): ToolRecord | undefined {
    return this.#servers.get(server)?.tools.get(tool);
  }

  isReadOnly(server: string, tool: string): boolean {
    return this.get(server, tool)?.readOnly === true;
  }

  /**
   * An answer to `tools/list`. The first list of a server ends by its last page, but also where it fails, where the same client
   * begins another one, and after a while: a server could go on with it for ever.
   *
   * @param owner who asked
   * @param fromStart without a cursor
   * @returns whether the first list ends by that
   */
  beginList(server: string, owner: string, fromStart: boolean, failed: boolean, now: number): boolean {
    const known = this.#of(server);
    const { complete, begunAt, begunBy } = known;
    if (complete || begunAt === undefined) {
      if (!complete && fromStart && !failed) begunBy.add(owner);
      return false;
    }
    known.complete = failed || (fromStart && begunBy.has(owner)) || now - begunAt >= FIRST_LIST;
    if (fromStart && begunBy.size < MAX_TOOLS) begunBy.add(owner);
    return known.complete;
  }

  /**
   * Takes over the tools of a `tools/list` result.
   *
   * @param last whether the list ends here
   * @returns whether anything is known now that was not before, and the tools that are held back since now
   */
  learn(server: string, listed: readonly unknown[], last: boolean, now: number): { news: boolean; held: string[] } {
    const known = this.#of(server);
    const held: string[] = [];
    let news = last && !known.complete;
    known.begunAt ??= now;
    for (const definition of listed) {
      if (!isRecord(definition) || typeof definition.name !== 'string') continue;
      const { name } = definition;
      if (name.length > MAX_NAME) continue;
      const before = known.tools.get(name);
      const seen = describe(definition);
      if (before?.listed === seen.listed || (before === undefined && known.tools.size >= MAX_TOOLS)) continue;
      const pins = before === undefined && this.#pinsNew(server, known.complete);
      known.tools.set(name, {
        ...before,
        ...seen,
        listedAt: now,
        ...(pins ? { pinned: seen.listed, pinnedAt: now } : {}),
      });
      news = true;
      if (this.holds(server, name)) held.push(name);
    }
    known.complete ||= last;
    return { news, held };
  }

  /** Whether calls of the tool are refused: its definition is not the pinned one, or nobody has seen any. */
  holds(server: string, tool: string): boolean {
    const pinning = this.#pinning(server);
    if (pinning === undefined) return false;
    const record = this.get(server, tool);
    return record === undefined ? pinning !== 'trust' : !isPinned(record, record.listed);
  }

  /** Whether the definition is the pinned one. */
  shows(server: string, definition: unknown): boolean {
    if (this.#pinning(server) === undefined) return true;
    if (!isRecord(definition) || typeof definition.name !== 'string') return false;
    const record = this.get(server, definition.name);
    return record !== undefined && isPinned(record, describe(definition).listed);
  }

  held(): PendingTool[] {
    return [...this.#servers].flatMap(([server, { tools }]) =>
      [...tools].flatMap(([tool, record]) => {
        const { listed, pinned, listedAt } = record;
        return this.holds(server, tool)
          ? [{ server, tool, listed, pinned, listedAt, rejectedAt: rejectionOf(record) }]
          : [];
      }),
    );
  }

  /** @param hash of the definition that the operator has seen @returns false where that is not the listed one */
  approve(server: string, tool: string, hash: string, now: number): boolean {
    const record = this.get(server, tool);
    if (record?.listed !== hash || hash === UNREADABLE) return false;
    this.#of(server).tools.set(tool, { ...record, pinned: hash, pinnedAt: now, approved: true });
    return true;
  }

  /**
   * The definition stays hidden and refused, and waits no longer. Another definition waits again, and this one can be approved later.
   *
   * @param hash of the definition that the operator has seen @returns false where that is not the listed one, or it is not held back
   */
  reject(server: string, tool: string, hash: string, now: number): boolean {
    const record = this.get(server, tool);
    if (record?.listed !== hash || !this.holds(server, tool)) return false;
    // Later than an approval of the same moment, which it follows.
    const rejectedAt = Math.max(now, (record.pinnedAt ?? 0) + 1);
    this.#of(server).tools.set(tool, { ...record, rejected: hash, rejectedAt });
    return true;
  }

  /** Pins what is listed and was never pinned. @returns whether there was any */
  pinListed(server: string, now: number): boolean {
    const { tools } = this.#of(server);
    const unpinned = [...tools].filter(([, { pinned, listed }]) => pinned === undefined && listed !== UNREADABLE);
    for (const [tool, record] of unpinned) tools.set(tool, { ...record, pinned: record.listed, pinnedAt: now });
    return unpinned.length > 0;
  }

  snapshot(server: string): ServerTools {
    const { complete, tools } = this.#of(server);
    return { complete, tools: Object.fromEntries(tools) };
  }

  /** What another replica knows. */
  merge(server: string, { complete, tools }: ServerTools): void {
    const known = this.#of(server);
    known.complete ||= complete;
    for (const [name, record] of Object.entries(tools)) {
      const own = known.tools.get(name);
      if (own === undefined && known.tools.size >= MAX_TOOLS) continue;
      known.tools.set(name, own === undefined ? record : merged(own, record));
      known.begunAt = Math.min(known.begunAt ?? record.listedAt, record.pinnedAt ?? record.listedAt);
    }
  }

  #pinsNew(server: string, complete: boolean): boolean {
    const pinning = this.#pinning(server);
    return pinning === 'trust' || (pinning === 'first-list' && !complete);
  }

  #of(server: string) {
    const known = this.#servers.get(server) ?? {
      complete: false,
      tools: new Map<string, ToolRecord>(),
      begunAt: undefined,
      begunBy: new Set<string>(),
    };
    this.#servers.set(server, known);
    return known;
  }
}

function isPinned({ pinned }: ToolRecord, hash: string): boolean {
  return hash !== UNREADABLE && pinned === hash;
}
