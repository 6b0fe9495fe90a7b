import { randomBytes } from 'node:crypto';
import { scanJson } from './json-scanner.ts';
import { nestsTooDeep } from './nesting.ts';

/** Stands before the text of a number while it goes through a JSON reader or writer as a string. Nobody outside can know it. */
const MARK = `${randomBytes(16).toString('hex')}:`;
const MARKED = new RegExp(`"${MARK}([-+.0-9eE]+)"`, 'g');

/**
 * A number that JavaScript would write otherwise than it came: beyond 2^53, `1.0`, `1e3`. Two of the same text are the same object,
 * so they can be compared and be keys of a map.
 */
export class JsonNumber {
  static readonly #known = new Map<string, WeakRef<JsonNumber>>();
  static readonly #forgotten = new FinalizationRegistry<string>((text) => {
    if (JsonNumber.#known.get(text)?.deref() === undefined) JsonNumber.#known.delete(text);
  });
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  /** @param text a number of JSON (RFC 8259 §6) */
  static of(text: string): JsonNumber {
    const known = JsonNumber.#known.get(text)?.deref();
    if (known !== undefined) return known;
    const number = new JsonNumber(text);
    JsonNumber.#known.set(text, new WeakRef(number));
    JsonNumber.#forgotten.register(number, text);
    return number;
  }

  toString(): string {
    return this.#text;
  }

  /** The nearest number of JavaScript. */
  valueOf(): number {
    return Number(this.#text);
  }

  /** For `JSON.stringify`, that nearest number; only `writeJson` keeps the text. */
  toJSON(): unknown {
    if (!writing) return this.valueOf();
    marked = true;
    return MARK + this.#text;
  }
}

let writing = false;
let marked = false;

/**
 * Reads JSON so that `writeJson` writes each number as it came.
 *
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const inexact: Array<readonly [start: number, end: number]> = [];
  scanJson(text, {
    number(start, end) {
      if (!isExact(text, start, end)) inexact.push([start, end]);
    },
  });
  // What is nested deeper is refused by whoever reads it; a reviver would fail at it.
  if (inexact.length === 0 || nestsTooDeep(text)) return value;
  let from = 0;
  let withMarks = '';
  for (const [start, end] of inexact) {
    withMarks += `${text.slice(from, start)}"${MARK}${text.slice(start, end)}"`;
    from = end;
  }
  return JSON.parse(withMarks + text.slice(from), (_key, item: unknown) =>
    typeof item === 'string' && item.startsWith(MARK) ? JsonNumber.of(item.slice(MARK.length)) : item,
  );
}

/** Writes what `parseJson` has read, changed or not. */
export function writeJson(value: unknown): string {
  writing = true;
  marked = false;
  try {
    const text = JSON.stringify(value);
    return marked ? text.replace(MARKED, '$1') : text;
  } finally {
    writing = false;
  }
}

/** The same value with numbers of JavaScript only, for code that compares or computes. */
export function withPlainNumbers<T>(value: T): T {
  return hasJsonNumber(value) ? (JSON.parse(JSON.stringify(value)) as T) : value;
}

function hasJsonNumber(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return value instanceof JsonNumber || Object.values(value).some(hasJsonNumber);
}

/** Whether JavaScript writes the number as it stands between these places of a text. */
export function isExact(text: string, start: number, end: number): boolean {
  // Fifteen digits and less, which nearly all are, come back as they were if they are written in the same way.
  const exact = end - start < 16 ? isPlain(text, start, end) : undefined;
  if (exact !== undefined) return exact;
  const written = text.slice(start, end);
  return String(Number(written)) === written;
}

/** @returns undefined where only the conversion tells */
function isPlain(text: string, start: number, end: number): boolean | undefined {
  let point = -1;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e /* . */) point = at;
    else if ((code | 0x20) === 0x65 /* e */) return undefined;
  }
  const isNegative = text.charCodeAt(start) === 0x2d; /* - */
  const first = isNegative ? start + 1 : start;
  const startsWithZero = text.charCodeAt(first) === 0x30; /* 0 */
  if (point === -1) return startsWithZero ? end - first === 1 && !isNegative : true;
  if (text.charCodeAt(end - 1) === 0x30 /* 0 */) return false;
  // Below 1e-6 it is written with an exponent.
  return startsWithZero && text.startsWith('0.00000', first) ? undefined : true;
}
