import { isRecord } from '../../platform/is-record.ts';
import { JsonNumber } from './json.ts';
import type { Json } from './json-rpc.ts';
import { fieldText } from './mcp-headers.ts';

/** An argument that is mirrored into a header field, by its path. */
interface Mirrored {
  readonly field: string;
  readonly path: readonly string[];
}

/** Tools that are remembered, and levels of a schema that are looked into. */
const MAX_TOOLS = 1_000;
const MAX_DEPTH = 16;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Which arguments of a server's tools are mirrored into `Mcp-Param-*` fields (2026-07-28, streamable HTTP, `x-mcp-header`):
 * clients of sessions know nothing of that, and such a server refuses a call without them.
 */
export class ParameterHeaders {
  readonly #tools = new Map<string, readonly Mirrored[]>();

  /** @param tools of a `tools/list` result */
  learn(tools: unknown): void {
    if (!Array.isArray(tools)) return;
    for (const tool of tools.filter(isRecord)) {
      if (typeof tool.name !== 'string') continue;
      this.#tools.delete(tool.name);
      const found = mirrored(tool.inputSchema, []);
      if (found.length > 0 && this.#tools.size < MAX_TOOLS) this.#tools.set(tool.name, found);
    }
  }

  /** @returns names and values in turn */
  of(method: string, { name, arguments: given }: Json): string[] {
    if (method !== 'tools/call' || typeof name !== 'string') return [];
    return (this.#tools.get(name) ?? []).flatMap(({ field, path }) => {
      const value = path.reduce<unknown>((node, key) => (isRecord(node) ? node[key] : undefined), given);
      const text = textOf(value);
      return text === undefined ? [] : [`mcp-param-${field}`, fieldText(text)];
    });
  }
}

function mirrored(schema: unknown, path: readonly string[]): Mirrored[] {
  if (!isRecord(schema) || path.length > MAX_DEPTH) return [];
  const field = schema['x-mcp-header'];
  const own = typeof field === 'string' && TOKEN.test(field) && path.length > 0 ? [{ field, path }] : [];
  const properties = isRecord(schema.properties) ? Object.entries(schema.properties) : [];
  return [...own, ...properties.flatMap(([key, child]) => mirrored(child, [...path, key]))];
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const plain = value instanceof JsonNumber ? value.valueOf() : value;
  return typeof plain === 'boolean' || Number.isSafeInteger(plain) ? String(plain) : undefined;
}
