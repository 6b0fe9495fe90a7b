import { LRUCache } from 'lru-cache';
import type { Person } from '../../../identity/user.ts';
import type { AuditLog } from '../../../platform/audit/audit-log.ts';
import type { RelayConfig } from '../../../platform/config/schema.ts';
import { isRecord } from '../../../platform/is-record.ts';
import type { Logger } from '../../../platform/log.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import { Names } from '../../../platform/names.ts';
import type { Stores } from '../../../stores/stores.ts';
import type { Message } from '../../protocol/message.ts';
import { SharedTools } from './shared-tools.ts';
import { type PendingTool, ToolBook } from './tool-book.ts';
import { describe } from './tool-record.ts';

type Json = Readonly<Record<string, unknown>>;

export interface ToolsDeps {
  readonly stores: Pick<Stores, 'kind' | 'documents' | 'pubSub' | 'locks'>;
  readonly metrics: Pick<RelayMetrics, 'toolsHeldBack'>;
  readonly audit: AuditLog | undefined;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

export type PinDecision = 'approve' | 'reject';

/** A definition as a server lists it. */
export interface ListedTool {
  readonly server: string;
  readonly tool: string;
  readonly hash: string;
}

/** Whose request an answer belongs to. */
export interface ToolRequest {
  readonly owner: string;
  readonly request: Pick<Message, 'method' | 'params'>;
}

/** Characters of one definition, and of all that are remembered. */
const MAX_DEFINITION = 65_536;
const MAX_DEFINITIONS = 16_777_216;

/** What servers listed, kept and shared, and which of it is held back. */
export class Tools {
  readonly book: ToolBook;
  #pins: RelayConfig['pins'];
  #pinned: Names;
  readonly #shared: SharedTools;
  readonly #deps: ToolsDeps;
  /** By hash: what is listed, and what was listed before. */
  readonly #definitions = new LRUCache<string, string>({
    maxSize: MAX_DEFINITIONS,
    sizeCalculation: ({ length }) => length,
  });
  /** Servers of which a list was seen since the start. */
  readonly #seen = new Set<string>();

  constructor({ pins, servers }: Pick<RelayConfig, 'pins' | 'servers'>, deps: ToolsDeps) {
    this.#deps = deps;
    this.#pins = pins;
    this.#pinned = new Names(pins.servers);
    this.book = new ToolBook((server) => (this.#pinned.has(server) ? this.#pins.newTools : undefined));
    this.#shared = new SharedTools(this.book, deps.stores, deps.log);
    for (const server of Object.keys(servers))
      if (this.#pinned.has(server)) deps.metrics.toolsHeldBack.set({ server }, 0);
    this.#warnOfMemory();
  }

  /** Takes another configuration. A server that is pinned from now on is held to what it has listed so far. */
  reconfigure({ pins, servers }: Pick<RelayConfig, 'pins' | 'servers'>): void {
    const before = this.#pinned;
    this.#pins = pins;
    this.#pinned = new Names(pins.servers);
    for (const server of Object.keys(servers)) {
      if (!this.#pinned.has(server)) {
        this.#deps.metrics.toolsHeldBack.remove({ server });
        continue;
      }
      if (!before.has(server) && pins.newTools !== 'hold' && this.book.pinListed(server, this.#deps.now()))
        this.#shared.save(server);
      this.#count(server);
    }
    this.#warnOfMemory();
  }

  #warnOfMemory(): void {
    if (this.#pins.servers.length > 0 && this.#deps.stores.kind === 'memory')
      this.#deps.log.warn('relay.pins without redis: what is pinned is forgotten when the relay ends');
  }

  /** Whether tools of the server can be held back. */
  guards(server: string): boolean {
    return this.#pinned.has(server);
  }

  /** Whether it is known what is pinned there. */
  known(server: string): boolean {
    return this.#shared.loaded || !this.#pinned.has(server);
  }

  /** @throws DependencyUnavailable where the store is away */
  load(): Promise<void> {
    return this.#shared.load();
  }

  /** An answer of the server: learns its tools, and takes out those that are held back. */
  take(message: Json, server: string, { owner, request }: ToolRequest): Json {
    const { result } = message;
    const asksForTools = request.method === 'tools/list';
    const now = this.#deps.now();
    if (asksForTools && this.guards(server)) {
      const fromStart = request.params.cursor === undefined || request.params.cursor === null;
      if (this.book.beginList(server, owner, fromStart, 'error' in message, now)) this.#shared.save(server);
    }
    if (!isRecord(result) || !Array.isArray(result.tools)) return message;
    // What answers something else is no list, whatever it looks like; of a resumed stream nobody knows what it answers.
    if (!asksForTools && request.method !== undefined) return this.#shown(message, result, result.tools, server);
    const last = result.nextCursor === undefined || result.nextCursor === null;
    const { news, held } = this.book.learn(server, result.tools, last, now);
    if (this.guards(server) && (news || !this.#seen.has(server))) this.#remember(server, result.tools);
    if (news) this.#shared.save(server);
    if (held.length > 0) this.#report(server, held);
    return this.#shown(message, result, result.tools, server);
  }

  #shown(message: Json, result: Json, tools: readonly unknown[], server: string): Json {
    const shown = tools.filter((definition) => this.book.shows(server, definition));
    return shown.length === tools.length ? message : { ...message, result: { ...result, tools: shown } };
  }

  /** With the definition that waits, where this replica has seen it. */
  held(): Array<PendingTool & { readonly definition: string | undefined }> {
    return this.book.held().map((tool) => ({
      ...tool,
      definition: this.definition(tool.listed),
    }));
  }

  /** As a server listed it, cut where it is long. @returns undefined where this replica has not seen it since its start */
  definition(hash: string): string | undefined {
    return this.#definitions.get(hash);
  }

  /**
   * What an operator decides about a definition.
   *
   * @param by who decides; undefined: somebody with the operator token
   * @returns false where another definition is listed than the one decided about
   */
  decide(decision: PinDecision, { server, tool, hash }: ListedTool, by?: Person): boolean {
    const { audit, now } = this.#deps;
    const done =
      decision === 'approve'
        ? this.book.approve(server, tool, hash, now())
        : this.book.reject(server, tool, hash, now());
    if (!done) return false;
    const outcome = decision === 'approve' ? 'approved' : 'rejected';
    audit?.record({ event: 'tool_changed', outcome, server, object: tool, identity: by });
    this.#shared.save(server);
    this.#count(server);
    return true;
  }

  close(): void {
    this.#shared.close();
  }

  #report(server: string, held: readonly string[]): void {
    const { log, audit } = this.#deps;
    this.#count(server);
    for (const tool of held) {
      const changed = this.book.get(server, tool)?.pinned !== undefined;
      const reason = changed ? 'changed' : 'new';
      log.warn({ server, tool, reason }, 'a tool is held back: `postern pins list` shows it');
      audit?.record({ event: 'tool_changed', outcome: 'held_back', server, object: tool, reason });
    }
  }

  #remember(server: string, listed: readonly unknown[]): void {
    this.#seen.add(server);
    for (const definition of listed)
      if (isRecord(definition))
        this.#definitions.set(describe(definition).listed, JSON.stringify(definition).slice(0, MAX_DEFINITION));
  }

  #count(server: string): void {
    const waiting = this.book.held().filter((tool) => tool.server === server && tool.rejectedAt === undefined);
    this.#deps.metrics.toolsHeldBack.set({ server }, waiting.length);
  }
}
