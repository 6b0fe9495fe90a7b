import type { Identity } from '../../identity/identity.ts';
import type { DemandedBy, OperationDemand } from '../../identity/operation-demand.ts';
import type { RuleConfig } from '../../platform/config/schema.ts';
import { Names } from '../../platform/names.ts';
import { ResourceUris } from '../../platform/resource-uris.ts';
import { HIDDEN, type McpOperation } from './mcp-operation.ts';

type Scopes = readonly string[];

/** What a scope is for: every request, or operations whose name matches. */
export type ScopeUse = { readonly by: 'every-request' } | { readonly by: DemandedBy; readonly glob: string };

interface Entry {
  readonly by: DemandedBy;
  readonly glob: string;
  readonly globs: Names | ResourceUris;
  readonly scopes: Scopes;
}

/** Scopes that one rule asks for: always, and by what an MCP message does. */
export class OperationScopes {
  readonly always: Scopes;
  /** Every scope that any operation may need. */
  readonly all: Scopes;
  readonly #entries: readonly Entry[];
  /** Identities live in the caches of credentials; an object of ours is one for as long, so that answers can be kept. */
  readonly #demands = new WeakMap<Identity, Map<string | undefined, OperationDemand | undefined>>();

  constructor({ default: always, methods, tools, prompts, resources }: RuleConfig['scopes']) {
    const by = { method: methods, tool: tools, prompt: prompts, resource: resources } as const;
    this.#entries = Object.entries(by).flatMap(([kind, globs]) =>
      Object.entries(globs).map(([glob, scopes]) => ({
        by: kind as DemandedBy,
        glob,
        globs: kind === 'resource' ? new ResourceUris([glob]) : new Names([glob]),
        scopes,
      })),
    );
    this.always = [...new Set(always)];
    this.all = [...new Set([...this.always, ...this.#entries.flatMap(({ scopes }) => scopes)])];
  }

  usesOf(scope: string): ScopeUse[] {
    const every: ScopeUse[] = this.always.includes(scope) ? [{ by: 'every-request' }] : [];
    const named = this.#entries.filter(({ scopes }) => scopes.includes(scope)).map(({ by, glob }) => ({ by, glob }));
    return [...every, ...named];
  }

  /** Every scope that this operation needs; of one that the headers do not show, whatever any operation needs. */
  of(operation: McpOperation | typeof HIDDEN | undefined): Scopes {
    if (operation === undefined || this.#entries.length === 0) return this.always;
    if (operation === HIDDEN) return this.all;
    // What refuses compares as a deny rule of the relay does: a careless server runs `Delete_repo` as `delete_repo`.
    const more = this.#entries.filter(({ by, globs }) => {
      const name = operation[by];
      return name !== undefined && globs.hasLike(name);
    });
    return more.length === 0 ? this.always : [...new Set([...this.always, ...more.flatMap(({ scopes }) => scopes)])];
  }

  /**
   * What the reader of the body must still ask of this identity: undefined where it has whatever any operation needs.
   *
   * @param covers whether the identity has all of these scopes
   */
  demandOf(
    identity: Identity,
    metadataUrl: string | undefined,
    covers: (scopes: Scopes) => boolean,
  ): OperationDemand | undefined {
    if (this.#entries.length === 0) return undefined;
    let known = this.#demands.get(identity);
    if (known === undefined) {
      known = new Map();
      this.#demands.set(identity, known);
    }
    if (known.has(metadataUrl)) return known.get(metadataUrl);
    const entries = this.#entries.map(({ by, glob, scopes }) => ({ by, glob, scopes, held: covers(scopes) }));
    const demand = entries.every(({ held }) => held) ? undefined : { always: this.always, entries, metadataUrl };
    known.set(metadataUrl, demand);
    return demand;
  }
}
