import { Ajv2020 } from 'ajv/dist/2020.js';
import { isRecord } from '../../platform/is-record.ts';
import { looseName } from '../../platform/names.ts';

/** `unclear`: two readers of JSON could take the arguments for different things. */
export type ArgumentMatch = 'fits' | 'does_not_fit' | 'unclear';

/** Levels of nesting; readers differ in how many they take. */
const MAX_DEPTH = 64;

/** A JSON Schema on the arguments of a call. */
export class ArgumentSchema {
  readonly #fits: (value: unknown) => boolean;
  readonly #names: ReadonlySet<string>;
  readonly #loose: ReadonlySet<string>;

  /** @throws Error whose message says what is wrong with the schema */
  constructor(schema: Readonly<Record<string, unknown>>) {
    // A keyword that is misspelt would let everything pass: `strict` makes it an error.
    const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false });
    // The library's own compares every two objects of a list.
    ajv.removeKeyword('uniqueItems');
    ajv.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: areUnique });
    this.#fits = ajv.compile<unknown>({ ...schema });
    this.#names = new Set(propertyNames(schema));
    this.#loose = new Set([...this.#names].map(looseName));
  }

  /**
   * @param value undefined where the call has no arguments, which servers read as none
   * @param repeated whether a key of the message comes twice somewhere
   */
  judge(value: unknown, repeated: () => boolean): ArgumentMatch {
    if (this.#misspelt(value, 0) || repeated()) return 'unclear';
    return this.#fits(value ?? {}) ? 'fits' : 'does_not_fit';
  }

  /** Nested too deep, or a key that a server without regard for case takes for one which the schema speaks of. */
  #misspelt(value: unknown, depth: number): boolean {
    if (depth > MAX_DEPTH) return true;
    if (Array.isArray(value)) return value.some((item) => this.#misspelt(item, depth + 1));
    if (!isRecord(value)) return false;
    return Object.entries(value).some(
      ([key, item]) => (!this.#names.has(key) && this.#loose.has(looseName(key))) || this.#misspelt(item, depth + 1),
    );
  }
}

/** JSON Schema 2020-12, validation §6.4.3, in one pass: what is equal is written in the same way. */
function areUnique(wanted: boolean, list: readonly unknown[]): boolean {
  return !wanted || new Set(list.map(canonical)).size === list.length;
}

/** The order of keys means nothing. Numbers are equal by their value. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isRecord(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join()}}`;
}

function* propertyNames(schema: unknown): Generator<string> {
  if (Array.isArray(schema)) for (const item of schema) yield* propertyNames(item);
  if (!isRecord(schema)) return;
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === 'properties' && isRecord(value)) yield* Object.keys(value);
    if (keyword === 'required' && Array.isArray(value)) yield* value.filter((name) => typeof name === 'string');
    yield* propertyNames(value);
  }
}
