import { createHash } from 'node:crypto';
import { isRecord } from '../policy/operation.ts';

/** What a server said of one of its tools. */
export interface KnownTool {
  /** `annotations.readOnlyHint` (server/tools); absent is no. */
  readonly readOnly: boolean;
  /** Of the whole definition as it was last listed. */
  readonly hash: string;
}

/** Tools kept of one server. More than that is a server gone wrong, and the rest counts as unlisted. */
export const MAX_TOOLS = 2_000;

/** What servers listed, as far as it went through here. Bounded: names come from servers only, never from a client. */
export class KnownTools {
  readonly #servers = new Map<string, Map<string, KnownTool>>();

  get(server: string, tool: string): KnownTool | undefined {
    return this.#servers.get(server)?.get(tool);
  }

  names(server: string): string[] {
    return [...(this.#servers.get(server)?.keys() ?? [])];
  }

  isReadOnly(server: string, tool: string): boolean {
    return this.get(server, tool)?.readOnly === true;
  }

  /** Takes over the tools of a `tools/list` result. @returns those that are new or not as they were, by name */
  learn(server: string, listed: readonly unknown[]): Map<string, KnownTool> {
    const known = this.#of(server);
    const changed = new Map<string, KnownTool>();
    for (const definition of listed) {
      if (!isRecord(definition) || typeof definition.name !== 'string') continue;
      const tool = describe(definition);
      const before = known.get(definition.name);
      if (before?.hash === tool.hash || (before === undefined && known.size >= MAX_TOOLS)) continue;
      known.set(definition.name, tool);
      changed.set(definition.name, tool);
    }
    return changed;
  }

  /** What another replica learnt. */
  restore(server: string, tool: string, known: KnownTool): void {
    const tools = this.#of(server);
    if (tools.has(tool) || tools.size < MAX_TOOLS) tools.set(tool, known);
  }

  #of(server: string): Map<string, KnownTool> {
    const known = this.#servers.get(server) ?? new Map<string, KnownTool>();
    this.#servers.set(server, known);
    return known;
  }
}

export function describe(definition: Readonly<Record<string, unknown>>): KnownTool {
  const { annotations } = definition;
  return {
    readOnly: isRecord(annotations) && annotations.readOnlyHint === true,
    hash: createHash('sha256').update(canonical(definition)).digest('base64url'),
  };
}

/** The order of keys means nothing and may change with each answer. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isRecord(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
}
