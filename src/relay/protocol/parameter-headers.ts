import { LRUCache } from 'lru-cache';
import { readFieldText } from '../../identity/mcp-field-text.ts';
import { isRecord } from '../../platform/is-record.ts';
import { JsonNumber, writeJson } from './json.ts';
import type { Json } from './json-rpc.ts';
import type { Malformed } from './malformed.ts';
import { fieldText, mismatch } from './mcp-headers.ts';

/** An argument that is mirrored into a header field, by its path. */
interface Mirrored {
  readonly field: string;
  readonly path: readonly string[];
}

/** Asks a server for one page of its tools. @returns the result of `tools/list` */
export type ListTools = (params: Json) => Promise<Json>;

/** Tools that are remembered, pages of a list that are looked through for one, and levels of a schema that are looked into. */
const MAX_TOOLS = 1_000;
const MAX_PAGES = 20;
const MAX_DEPTH = 16;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const DECIMAL = /^-?\d+(?:\.\d+)?$/;

/**
 * Which arguments of a server's tools are mirrored into `Mcp-Param-*` fields (2026-07-28, streamable HTTP, `x-mcp-header`). Clients of
 * sessions know nothing of that, and a server of the stateless era refuses a call without them, or with others.
 */
export class ParameterHeaders {
  readonly #tools = new LRUCache<string, readonly Mirrored[]>({ max: MAX_TOOLS });

  /** @param tools of a `tools/list` result */
  learn(tools: unknown): void {
    if (!Array.isArray(tools)) return;
    for (const tool of tools.filter(isRecord))
      if (typeof tool.name === 'string') this.#tools.set(tool.name, mirroredIn(tool.inputSchema));
  }

  /** Learns one tool from the server's list. @throws as `list` does */
  async find(name: unknown, list: ListTools): Promise<void> {
    let params: Json = {};
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const { tools, nextCursor } = await list(params);
      this.learn(tools);
      const isFound = Array.isArray(tools) && tools.some((tool: unknown) => isRecord(tool) && tool.name === name);
      if (isFound || typeof nextCursor !== 'string') return;
      params = { cursor: nextCursor };
    }
  }

  /** @returns names and values in turn */
  of(method: string, { name, arguments: given }: Json): string[] {
    if (method !== 'tools/call' || typeof name !== 'string') return [];
    return (this.#tools.get(name) ?? []).flatMap(({ field, path }) => {
      const text = textOf(argumentAt(given, path));
      return text === undefined ? [] : [`mcp-param-${field}`, fieldText(text)];
    });
  }

  /**
   * Compares the fields of a call with its arguments, as a server must. Refused is only by a list that the server gives now: another
   * user, or another replica, may have seen an older one.
   *
   * @param fields `Mcp-Param-*`, names and values in turn
   * @throws as `list` does
   */
  async mismatch({ name, arguments: given }: Json, fields: readonly string[], list: ListTools) {
    if (typeof name !== 'string') return undefined;
    const compared = () => this.#tools.get(name)?.map((one) => mismatchOf(one, given, fields));
    const isUnknown = !this.#tools.has(name) && fields.length > 0;
    if (!isUnknown && compared()?.some((found) => found !== undefined) !== true) return undefined;
    await this.find(name, list);
    return compared()?.find((found) => found !== undefined);
  }
}

/** Those of a whole schema; none where two share a field, which makes a definition invalid. */
function mirroredIn(schema: unknown): readonly Mirrored[] {
  const found = mirrored(schema, []);
  return new Set(found.map(({ field }) => field.toLowerCase())).size < found.length ? [] : found;
}

function mirrored(schema: unknown, path: readonly string[]): Mirrored[] {
  if (!isRecord(schema) || path.length > MAX_DEPTH) return [];
  const field = schema['x-mcp-header'];
  const own = typeof field === 'string' && TOKEN.test(field) && path.length > 0 ? [{ field, path }] : [];
  const properties = isRecord(schema.properties) ? Object.entries(schema.properties) : [];
  return [...own, ...properties.flatMap(([key, child]) => mirrored(child, [...path, key]))];
}

function argumentAt(given: unknown, path: readonly string[]): unknown {
  return path.reduce((node, key) => (isRecord(node) && Object.hasOwn(node, key) ? node[key] : undefined), given);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const plain = plainOf(value);
  return typeof plain === 'boolean' || Number.isSafeInteger(plain) ? String(plain) : undefined;
}

function plainOf(value: unknown): unknown {
  return value instanceof JsonNumber ? value.valueOf() : value;
}

function mismatchOf({ field, path }: Mirrored, given: unknown, fields: readonly string[]): Malformed | undefined {
  const name = `Mcp-Param-${field}`;
  const value = argumentAt(given, path);
  const texts = fields
    .filter((_, at) => at % 2 === 1 && fields[at - 1]?.toLowerCase() === name.toLowerCase())
    .map(readParameter);
  if (texts.length === 0) return textOf(value) === undefined ? undefined : mismatch(`${name} is missing`);
  if (texts.includes(undefined)) return mismatch(`${name} is neither ASCII nor =?base64?…?= of UTF-8`);
  if (texts.every((text) => isSame(text as string, value))) return undefined;
  return mismatch(`${name} and the argument "${path.join('.')}" in the body differ`);
}

/** What has not exactly the form of an encoded text stands for itself. @returns undefined for what cannot be read */
function readParameter(value: string): string | undefined {
  if (!/^[\t\x20-\x7e]*$/.test(value)) return undefined;
  if (!/^=\?base64\?.*\?=$/.test(value)) return value;
  const text = readFieldText(value);
  return typeof text === 'string' ? text : undefined;
}

/** Numbers are the same whichever way they are written, as far as JavaScript can tell them apart. */
function isSame(text: string, value: unknown): boolean {
  if (typeof value === 'string' || value === undefined || value === null) return text === value;
  const plain = plainOf(value);
  const isExact = typeof plain === 'number' && (Number.isSafeInteger(plain) || !Number.isInteger(plain));
  return isExact && DECIMAL.test(text) ? Number(text) === plain : text === writeJson(value);
}
