import { ServerError } from '../protocol/failures.ts';
import type { Id, Json } from '../protocol/json-rpc.ts';
import type { Description } from '../upstreams/mcp-server.ts';
import { ignoreMessage } from '../upstreams/upstream-request.ts';
import { type Cursors, MAX_SERVER_CURSOR, type Positions } from './cursors.ts';
import type { HungServers } from './hung-servers.ts';
import { clientEntries, type LeftOutReason, LISTINGS, type ListMethod } from './listings.ts';
import { type Member, Unreached, type UnreachedReason } from './member.ts';
import type { Names } from './names.ts';

/** What is missing in a list, and why; it goes to the client in `_meta` and to the log. */
export interface Gaps {
  readonly unavailable: Array<{ readonly server: string; readonly reason: UnreachedReason | 'error' }>;
  readonly leftOut: Array<{ readonly server: string; readonly name: string; readonly reason: LeftOutReason }>;
}

export interface ListPage extends Gaps {
  readonly entries: readonly Json[];
  readonly nextCursor: string | undefined;
  /** Milliseconds for which every server promises its part to hold; 0 where one does not say. */
  readonly ttlMs: number;
}

export interface ListDeps {
  readonly names: Names;
  readonly cursors: Cursors;
  readonly hung: HungServers;
}

/** Entries that are named in `_meta` as left out; more of them say nothing new. */
const MAX_LEFT_OUT = 50;

export interface ListRequest {
  readonly owner: string;
  readonly cursor: unknown;
  /** `_meta` for each server; the envelope of a modern request is in it. */
  readonly meta: Json | undefined;
  readonly id: Id;
  readonly signal: AbortSignal;
}

type Part =
  | { readonly kind: 'page'; readonly server: string; readonly result: Json }
  | { readonly kind: 'not_offered' }
  | { readonly kind: 'gap'; readonly server: string; readonly reason: UnreachedReason | 'error' };

/**
 * One page of a common list: one page of each server that has more, all asked at once, put together in the servers' fixed
 * order. A server that does not answer is left out and named; the others are complete without it.
 *
 * @returns undefined where the cursor is none of this list and user
 */
export async function listPage(
  method: ListMethod,
  request: ListRequest,
  members: readonly Member[],
  deps: ListDeps,
): Promise<ListPage | undefined> {
  const positions = positionsOf(method, request, deps.cursors);
  if (positions === undefined) return undefined;
  const asked = members.filter(({ server }) => positions === 'start' || positions.has(server));
  const parts = await Promise.all(
    asked.map((member) =>
      part(method, member, positions === 'start' ? undefined : positions.get(member.server), deps.hung, request),
    ),
  );
  return together(method, request.owner, parts, deps);
}

function positionsOf(
  method: ListMethod,
  { owner, cursor }: { readonly owner: string; readonly cursor: unknown },
  cursors: Cursors,
): Positions | 'start' | undefined {
  if (cursor === undefined) return 'start';
  return typeof cursor === 'string' ? cursors.open(method, owner, cursor) : undefined;
}

async function part(
  method: ListMethod,
  member: Member,
  cursor: string | undefined,
  hung: HungServers,
  { id, meta, owner, signal }: ListRequest,
): Promise<Part> {
  const { server } = member;
  const params = { ...(cursor === undefined ? {} : { cursor }), ...(meta === undefined ? {} : { _meta: meta }) };
  try {
    const ask = async (limited: AbortSignal): Promise<Part> => {
      if (!offers(await member.describe(limited), method)) return { kind: 'not_offered' };
      const result = await member.request({ id, method, params }, { signal: limited, onMessage: ignoreMessage });
      return { kind: 'page', server, result };
    };
    return await hung.within({ server, owner, signal, ask });
  } catch (error) {
    if (error instanceof Unreached) return { kind: 'gap', server, reason: error.reason };
    if (error instanceof ServerError) return { kind: 'gap', server, reason: 'error' };
    throw error;
  }
}

function offers({ capabilities }: Description, method: ListMethod): boolean {
  return capabilities[LISTINGS[method].capability] !== undefined;
}

function together(method: ListMethod, owner: string, parts: readonly Part[], { names, cursors }: ListDeps): ListPage {
  const page = { entries: [] as Json[], unavailable: [] as Gaps['unavailable'], leftOut: [] as Gaps['leftOut'] };
  const next = new Map<string, string>();
  let ttlMs = Number.POSITIVE_INFINITY;
  for (const found of parts) {
    if (found.kind === 'not_offered') continue;
    if (found.kind === 'gap') {
      page.unavailable.push({ server: found.server, reason: found.reason });
      continue;
    }
    const { server, result } = found;
    const { entries, leftOut } = clientEntries(method, server, result, names);
    page.entries.push(...entries);
    page.leftOut.push(...leftOut.map((entry) => ({ server, ...entry })));
    ttlMs = Math.min(ttlMs, timeOf(result.ttlMs));
    if (typeof result.nextCursor !== 'string') continue;
    if (result.nextCursor.length <= MAX_SERVER_CURSOR) next.set(server, result.nextCursor);
    else page.unavailable.push({ server, reason: 'answer_too_large' });
  }
  return {
    ...page,
    leftOut: page.leftOut.slice(0, MAX_LEFT_OUT),
    nextCursor: next.size === 0 ? undefined : cursors.seal(method, owner, next),
    // A list with a gap is wrong as soon as the server is back.
    ttlMs: page.unavailable.length > 0 || !Number.isFinite(ttlMs) ? 0 : ttlMs,
  };
}

function timeOf(ttlMs: unknown): number {
  return typeof ttlMs === 'number' && Number.isSafeInteger(ttlMs) && ttlMs >= 0 ? ttlMs : 0;
}
