/** One element of `X-Forwarded-Client-Cert`: what one Envoy says about one client certificate. Keys in lower case. */
export type XfccElement = ReadonlyMap<string, readonly string[]>;

/** Why a header was refused. */
export class XfccProblem {
  readonly problem: string;

  constructor(problem: string) {
    this.problem = problem;
  }
}

/** Keys that Envoy repeats, once for each name in the certificate. */
const REPEATABLE: ReadonlySet<string> = new Set(['by', 'uri', 'dns']);
const KEYS: ReadonlySet<string> = new Set([...REPEATABLE, 'hash', 'cert', 'chain', 'subject']);

/**
 * Parses the header of Envoy (“x-forwarded-client-cert”, HTTP header manipulation): elements by comma, pairs by semicolon,
 * values in double quotes where they hold one of these, with `\"` for a quote. Everything else is refused, never mended.
 *
 * @returns one map for each element, in order
 */
export function parseXfcc(text: string): XfccElement[] | XfccProblem {
  const elements: XfccElement[] = [];
  let at = 0;
  for (;;) {
    const element = new Map<string, string[]>();
    for (;;) {
      const equals = text.indexOf('=', at);
      const key = equals === -1 ? '' : text.slice(at, equals).toLowerCase();
      if (!KEYS.has(key)) return new XfccProblem('it holds an unknown key');
      const value = readValue(text, equals + 1);
      if (value === undefined) return new XfccProblem('it holds a broken value');
      const values = element.get(key);
      if (values === undefined) element.set(key, [value.text]);
      else if (REPEATABLE.has(key)) values.push(value.text);
      else return new XfccProblem('it holds a key twice');
      at = value.end + 1;
      if (text[value.end] === ';') continue;
      elements.push(element);
      if (value.end >= text.length) return elements;
      break;
    }
  }
}

/** @returns the value, and where it ended: at a comma, a semicolon or the end of the text */
function readValue(text: string, start: number): { text: string; end: number } | undefined {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && text[end] !== ',' && text[end] !== ';') {
      if (text[end] === '"' || text[end] === '=') return undefined;
      end++;
    }
    return { text: text.slice(start, end), end };
  }
  let value = '';
  for (let i = start + 1; i < text.length; i++) {
    const character = text[i] as string;
    if (character === '"') {
      const end = i + 1;
      return end === text.length || text[end] === ',' || text[end] === ';' ? { text: value, end } : undefined;
    }
    // Only quotes are escaped by Envoy; any other backslash belongs to the value, such as one in a subject.
    if (character === '\\' && text[i + 1] === '"') {
      value += '"';
      i++;
    } else value += character;
  }
  return undefined;
}
