import { scanJson } from './json-scanner.ts';
import { VERSION_KEY } from './meta.ts';

/** Keys that decide something, at the places where they do, without case. */
const DECISIVE = {
  message: new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']),
  params: new Set(['name', 'uri', '_meta']),
  meta: new Set([VERSION_KEY.toLowerCase()]),
} as const;
type Place = keyof typeof DECISIVE;

/** The only decisive key that is not lower case throughout. */
const EXACT: ReadonlyMap<string, string> = new Map([[VERSION_KEY.toLowerCase(), VERSION_KEY]]);

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
  let found: string | undefined;
  scanJson(text, {
    open(isObject) {
      places.push(isObject ? { place: pending, seen: new Set() } : undefined);
      pending = undefined;
      return false;
    },
    close() {
      places.pop();
    },
    key(start, end) {
      pending = undefined;
      const object = places.at(-1);
      if (object?.place === undefined) return false;
      const key = JSON.parse(text.slice(start, end)) as string;
      const folded = fold(key);
      if (!DECISIVE[object.place].has(folded)) return false;
      if (key !== (EXACT.get(folded) ?? folded) || object.seen.has(folded)) {
        found = key;
        return true;
      }
      object.seen.add(folded);
      pending = placeBelow(object.place, key);
      return false;
    },
  });
  return found;
}

function placeBelow(place: Place, key: string): Place | undefined {
  if (place === 'message' && key === 'params') return 'params';
  return place === 'params' && key === '_meta' ? 'meta' : undefined;
}

/** The long s and the Kelvin sign fold to ASCII letters (Unicode CaseFolding). */
function fold(key: string): string {
  return key.replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
}

/**
 * Whether an object anywhere in the text has a key twice, or two that a careless reader takes for one: what is judged
 * would be the last of them here, and the first or both elsewhere (RFC 8259 §4).
 *
 * @param text JSON that has been parsed without error
 * @param reading what a careless reader takes a key for
 */
export function hasRepeatedKey(text: string, reading: (key: string) => string): boolean {
  const objects: Array<Set<string>> = [];
  return scanJson(text, {
    open() {
      objects.push(new Set());
      return false;
    },
    close() {
      objects.pop();
    },
    key(start, end) {
      const key = reading(JSON.parse(text.slice(start, end)) as string);
      const keys = objects.at(-1);
      if (keys?.has(key) === true) return true;
      keys?.add(key);
      return false;
    },
  });
}
