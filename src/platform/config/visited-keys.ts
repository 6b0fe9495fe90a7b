import { isRecord } from '../is-record.ts';
import { configJsonSchema, type JsonSchema, mapIn, mapOf } from './keys.ts';

/** A key that an input has, with what the schema says of it. */
export interface VisitedKey {
  readonly holder: Record<string, unknown>;
  readonly name: string;
  readonly schema: JsonSchema;
  /** As messages name it: `auth.providers[0].clientSecret`. */
  readonly path: string;
}

/** @returns every key of the input that the schema knows, whatever is there; what holds others stands before them */
export function visited(input: unknown): VisitedKey[] {
  return [...visit(input, configJsonSchema(), '')];
}

function* visit(value: unknown, schema: JsonSchema, path: string): Generator<VisitedKey> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* visit(item, schema.items ?? {}, `${path}[${index}]`);
    return;
  }
  if (!isRecord(value)) return;
  const object = mapIn(schema);
  for (const [name, inner] of Object.entries(value)) {
    const known = Object.hasOwn(object.properties ?? {}, name) ? object.properties?.[name] : mapOf(object);
    if (known === undefined) continue;
    const at = path === '' ? name : `${path}.${name}`;
    yield { holder: value, name, schema: known, path: at };
    yield* visit(inner, known, at);
  }
}
