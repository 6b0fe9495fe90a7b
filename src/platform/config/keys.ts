import { z } from 'zod';
import { configSchema } from './schema.ts';
import type { SecretFile } from './values.ts';

/** One configurable value, as the reference and the environment see it. */
export interface ConfigKey {
  /** Dotted path in the file; list items and map values are written `[]` and `<name>`. */
  readonly path: string;
  /** Environment name; absent inside lists and maps, which are set as a whole. */
  readonly env: string | undefined;
  readonly type: 'string' | 'boolean' | 'number' | 'list' | 'map';
  readonly default: unknown;
  readonly allowed: readonly string[] | undefined;
  readonly description: string;
  /** What the section is that the key stands in; empty for the whole file and for entries of lists and maps. */
  readonly section: string;
  readonly secret: boolean;
  readonly required: boolean;
  /** A running process goes on with the value that it was started with. */
  readonly restart: boolean;
}

/** Either process. */
export type ProcessName = 'forward-auth' | 'relay';

export interface JsonSchema {
  type?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: JsonSchema | boolean;
  default?: unknown;
  description?: string;
  secret?: boolean;
  restart?: true | 'both';
  secretFile?: SecretFile;
  onByPresence?: boolean;
  deprecated?: boolean;
  enum?: string[];
  anyOf?: JsonSchema[];
}

let schema: JsonSchema | undefined;

/** Of the whole configuration, as it is written. Made once, which takes as long as a tenth of a start: not to be changed. */
export function configJsonSchema(): JsonSchema {
  schema ??= newSchema();
  return schema;
}

function newSchema(): JsonSchema {
  const made = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  eitherForm(made);
  return made;
}

/** The schema for an editor, which shows descriptions alone: they say what needs a restart. */
export function editorSchema(): JsonSchema {
  const schema = newSchema();
  sayRestart(schema, false);
  return schema;
}

function sayRestart({ properties = {}, items, anyOf = [] }: JsonSchema, above: boolean): void {
  for (const child of Object.values(properties)) {
    const restart = above || child.restart !== undefined;
    if (restart) child.description = `${child.description}; needs a restart`;
    sayRestart(child, restart);
  }
  for (const inner of [items, ...anyOf]) if (inner !== undefined) sayRestart(inner, above);
}

/** A secret that is needed may be given by its file as well. */
function eitherForm(schema: JsonSchema): void {
  const { properties = {}, items, anyOf = [] } = schema;
  for (const [name, { secretFile }] of Object.entries(properties))
    if (secretFile !== undefined && schema.required?.includes(withoutPath(name)))
      schema.required = schema.required.filter((key) => key !== withoutPath(name));
  for (const inner of [...Object.values(properties), items, mapOf(schema), ...anyOf])
    if (inner !== undefined) eitherForm(inner);
}

/** `clientSecretPath` → `clientSecret`. */
export function withoutPath(name: string): string {
  return name.replace(/Path$/, '');
}

let keys: readonly ConfigKey[] | undefined;

/** Every key of the schema, depth first, in the schema's order. */
export function configKeys(): readonly ConfigKey[] {
  keys ??= [...walk(configJsonSchema(), '', { settable: true, required: false, restart: false, section: '' })];
  return keys;
}

/** Paths of what a process reads at its start only, as the schema marks it with `restart`. */
export function restartPaths(process: ProcessName): string[] {
  return [...marked(configJsonSchema(), '')].flatMap(([path, mark]) => {
    const owner = path.startsWith('auth.') ? 'forward-auth' : path.startsWith('relay.') ? 'relay' : undefined;
    return mark === 'both' || owner === undefined || owner === process ? [path] : [];
  });
}

function* marked({ properties = {} }: JsonSchema, path: string): Generator<[string, true | 'both']> {
  for (const [name, child] of Object.entries(properties)) {
    const own = path === '' ? name : `${path}.${name}`;
    if (child.restart === undefined) yield* marked(child, own);
    else yield [own, child.restart];
  }
}

type Inherited = Pick<ConfigKey, 'required' | 'restart' | 'section'> & { readonly settable: boolean };

function* walk(whole: JsonSchema, path: string, given: Inherited): Generator<ConfigKey> {
  const schema = mapIn(whole);
  const from = { ...given, restart: given.restart || whole.restart !== undefined };
  if (schema !== whole) yield { ...keyOf(whole, path, from), type: 'string' };
  if (schema.properties !== undefined) {
    const section = schema.description ?? '';
    for (const [name, child] of Object.entries(schema.properties)) {
      const required = schema.required?.includes(name) ?? false;
      yield* walk(child, path === '' ? name : `${path}.${name}`, { ...from, required, section });
    }
    return;
  }
  yield keyOf(schema, path, from);
  const map = mapOf(schema);
  const inside = { ...from, settable: false, required: false };
  if (schema.items?.properties !== undefined) yield* walk(schema.items, `${path}[]`, inside);
  if (map?.properties !== undefined) yield* walk(map, `${path}.<name>`, inside);
}

/** A word may stand in the place of some maps: the map is what has keys. */
export function mapIn(schema: JsonSchema): JsonSchema {
  return schema.anyOf?.find(({ properties }) => properties !== undefined) ?? schema;
}

export function mapOf({ additionalProperties }: JsonSchema): JsonSchema | undefined {
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

function keyOf(schema: JsonSchema, path: string, { settable, required, restart, section }: Inherited): ConfigKey {
  return {
    path,
    // The variable of the secret itself, followed by `_FILE`, names its file.
    env: settable && schema.secretFile !== 'read' ? envName(path) : undefined,
    type: typeOf(schema, mapOf(schema)),
    default: schema.default,
    allowed: schema.enum ?? schema.items?.enum,
    description: schema.description ?? '',
    section,
    secret: schema.secret ?? false,
    required,
    restart,
  };
}

function typeOf(schema: JsonSchema, map: JsonSchema | undefined): ConfigKey['type'] {
  if (schema.type === 'array') return 'list';
  if (map !== undefined) return 'map';
  if (schema.type === 'boolean') return 'boolean';
  return schema.type === 'integer' || schema.type === 'number' ? 'number' : 'string';
}

/** `auth.tokenCache.maxEntries` → `POSTERN_AUTH_TOKEN_CACHE_MAX_ENTRIES`. */
export function envName(path: string): string {
  const snake = path.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replace(/\./g, '_');
  return `POSTERN_${snake.toUpperCase()}`;
}
