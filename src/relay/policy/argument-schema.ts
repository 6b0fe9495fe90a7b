import { Ajv2020 } from 'ajv/dist/2020.js';
import { isRecord } from '../../platform/is-record.ts';
import { looseName } from './names.ts';

/** `unclear`: two readers of JSON could take the arguments for different things. */
export type ArgumentVerdict = 'fits' | 'does_not_fit' | 'unclear';

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
    this.#fits = ajv.compile<unknown>({ ...schema });
    this.#names = new Set(propertyNames(schema));
    this.#loose = new Set([...this.#names].map(looseName));
  }

  /**
   * @param value undefined where the call has no arguments, which servers read as none
   * @param repeated whether a key of the message comes twice somewhere
   */
  judge(value: unknown, repeated: () => boolean): ArgumentVerdict {
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

function* propertyNames(schema: unknown): Generator<string> {
  if (Array.isArray(schema)) for (const item of schema) yield* propertyNames(item);
  if (!isRecord(schema)) return;
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === 'properties' && isRecord(value)) yield* Object.keys(value);
    if (keyword === 'required' && Array.isArray(value)) yield* value.filter((name) => typeof name === 'string');
    yield* propertyNames(value);
  }
}
