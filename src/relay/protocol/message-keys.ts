/** Keys that decide something, at the places where they do. */
const DECISIVE = {
  message: new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']),
  params: new Set(['name', 'uri', '_meta']),
  meta: new Set(['io.modelcontextprotocol/protocolversion']),
} as const;
type Place = keyof typeof DECISIVE;

/** The only decisive key that is not lower case throughout. */
const EXACT: ReadonlyMap<string, string> = new Map([
  ['io.modelcontextprotocol/protocolversion', 'io.modelcontextprotocol/protocolVersion'],
]);

/**
 * Finds a key that two JSON readers could take for different things: one that comes twice (RFC 8259 §4: behaviour then is
 * unpredictable), or another spelling of one that decides. Go's `encoding/json` matches keys without case and by Unicode
 * folding, so `Method` and `param\u017f` would be read by such a server and not by us.
 *
 * @param text a JSON object that has been parsed without error
 * @returns the key as written, or undefined where the text has one meaning
 */
export function ambiguousKey(text: string): string | undefined {
  const places: Array<{ place: Place | undefined; seen: Set<string> } | undefined> = [];
  let pending: Place | undefined = 'message';
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x7b /* { */) {
      places.push({ place: pending, seen: new Set() });
      pending = undefined;
    } else if (code === 0x5b /* [ */) {
      places.push(undefined);
      pending = undefined;
    } else if (code === 0x7d /* } */ || code === 0x5d /* ] */) {
      places.pop();
    } else if (code === 0x2c /* , */) {
      pending = undefined;
    } else if (code === 0x22 /* " */) {
      const end = endOfString(text, i);
      const object = places.at(-1);
      if (object?.place !== undefined && isKey(text, end)) {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        const folded = fold(key);
        if (DECISIVE[object.place].has(folded)) {
          if (key !== (EXACT.get(folded) ?? folded) || object.seen.has(folded)) return key;
          object.seen.add(folded);
          pending = placeBelow(object.place, key);
        }
      }
      i = end;
    }
  }
  return undefined;
}

function placeBelow(place: Place, key: string): Place | undefined {
  if (place === 'message' && key === 'params') return 'params';
  return place === 'params' && key === '_meta' ? 'meta' : undefined;
}

/** @param start of the opening quote @returns the place of the closing one */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  for (; end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

function isKey(text: string, end: number): boolean {
  let next = end + 1;
  while (next < text.length && text.charCodeAt(next) <= 0x20) next += 1;
  return text.charCodeAt(next) === 0x3a;
}

/** The long s and the Kelvin sign fold to ASCII letters (Unicode CaseFolding). */
function fold(key: string): string {
  return key.replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
}
