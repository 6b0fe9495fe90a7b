/** What a walk over JSON text meets. An answer of true ends the walk. */
export interface JsonVisitor {
  /** An object or a list begins. */
  open?(isObject: boolean): boolean | undefined;
  /** It ends. */
  close?(): void;
  /** A key of an object, quotes included: from `start` to before `end`. */
  key?(start: number, end: number): boolean | undefined;
  number?(start: number, end: number): void;
  /** Any string, a key too, quotes included. */
  string?(start: number, end: number): void;
}

/** One member of an object, by places in the text. */
export interface JsonMember {
  readonly key: string;
  /** Of the key's opening quote. */
  readonly start: number;
  /** Of the first character of the value. */
  readonly value: number;
  /** Behind the last character of the value. */
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * Walks over JSON from its first character to its last, strings at one step.
 *
 * @param text JSON that has been parsed without error
 * @returns whether the visitor ended it
 */
export function scanJson(text: string, visitor: JsonVisitor): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      visitor.string?.(at, end);
      if (visitor.key !== undefined && text.charCodeAt(skipSpace(text, end)) === COLON && visitor.key(at, end) === true)
        return true;
      at = end - 1;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (visitor.open?.(code === OPEN_BRACE) === true) return true;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) visitor.close?.();
    else if (code === 0x2d /* - */ || isDigit(code)) {
      const end = endOfScalar(text, at);
      visitor.number?.(at, end);
      at = end - 1;
    }
  }
  return false;
}

/**
 * @param text JSON that has been parsed without error
 * @param open of the brace with which the object begins
 */
export function membersOf(text: string, open: number): JsonMember[] {
  const found: JsonMember[] = [];
  let at = skipSpace(text, open + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const start = at;
    const keyEnd = endOfString(text, at);
    const value = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, value);
    found.push({ key: JSON.parse(text.slice(start, keyEnd)) as string, start, value, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return found;
}

/** @param open of the opening quote @returns behind the closing one */
function endOfString(text: string, open: number): number {
  for (let end = text.indexOf('"', open + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}

function endOfValue(text: string, from: number): number {
  const first = text.charCodeAt(from);
  if (first === QUOTE) return endOfString(text, from);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return endOfScalar(text, from);
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if ((code === CLOSE_BRACE || code === CLOSE_BRACKET) && --depth === 0) return at + 1;
  }
  return text.length;
}

/** A number, `true`, `false` or `null`. */
function endOfScalar(text: string, from: number): number {
  let at = from;
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at += 1;
  return at;
}

function endsScalar(code: number): boolean {
  return code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= 0x20;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at += 1;
  return at;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
