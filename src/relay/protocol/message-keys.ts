import { scanJson } from './json-scanner.ts';
import { VERSION_KEY } from './meta.ts';

/** An object of a message, as far as keys in it decide something. */
interface Place {
  /** The deciding keys, as they are spelled. */
  readonly keys: readonly string[];
  /** The place of the object under a key, or of each object in the list there. */
  readonly below?: Readonly<Record<string, Place>>;
}

/** By the key without case: how it is spelled. */
const SPELLINGS = new WeakMap<Place, ReadonlyMap<string, string>>();

const MESSAGE = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'];
const ENTRY: Place = {
  keys: ['name', 'uri', 'uriTemplate', 'title', 'description', 'inputSchema', 'outputSchema', 'annotations', '_meta'],
};
const FROM_CLIENT: Place = {
  keys: MESSAGE,
  below: { params: { keys: ['name', 'uri', '_meta'], below: { _meta: { keys: [VERSION_KEY] } } } },
};
const FROM_SERVER: Place = {
  keys: MESSAGE,
  below: {
    result: {
      keys: [
        'tools',
        'prompts',
        'resources',
        'resourceTemplates',
        'nextCursor',
        'cacheScope',
        'resultType',
        'task',
        'taskId',
      ],
      below: { tools: ENTRY, prompts: ENTRY, resources: ENTRY, resourceTemplates: ENTRY },
    },
  },
};

/**
 * Finds a key that two JSON readers could take for different things: one that comes twice (RFC 8259 §4: behaviour then is
 * unpredictable), or another spelling of one that decides. Go's `encoding/json` matches keys without case and by Unicode
 * folding, so `Method` and `param\u017f` would be read by such a server and not by us.
 *
 * @param text a JSON object that has been parsed without error
 * @returns the key as written, or undefined where the text has one meaning
 */
export function ambiguousKey(text: string): string | undefined {
  return findAmbiguous(text, FROM_CLIENT);
}

/** The same of what a server said. @param text a message, or a batch */
export function ambiguousAnswerKey(text: string): string | undefined {
  return findAmbiguous(text, FROM_SERVER);
}

function findAmbiguous(text: string, whole: Place): string | undefined {
  /** Of a list: the place of the objects in it. */
  const open: Array<{ readonly place: Place | undefined; readonly seen: Set<string> | undefined }> = [];
  let pending: Place | undefined = whole;
  let found: string | undefined;
  scanJson(text, {
    open(isObject) {
      const around = open.at(-1);
      const place = pending ?? (around?.seen === undefined ? around?.place : undefined);
      open.push({ place, seen: isObject ? new Set() : undefined });
      pending = undefined;
      return false;
    },
    close() {
      open.pop();
    },
    key(start, end) {
      pending = undefined;
      const object = open.at(-1);
      if (object?.place === undefined) return false;
      const { place, seen } = object;
      const key = textOf(text, start, end);
      const folded = fold(key);
      const spelling = spellingsOf(place).get(folded);
      if (spelling === undefined) return false;
      if (key !== spelling || seen?.has(folded) === true) {
        found = key;
        return true;
      }
      seen?.add(folded);
      pending = place.below?.[key];
      return false;
    },
  });
  return found;
}

function spellingsOf(place: Place): ReadonlyMap<string, string> {
  const known = SPELLINGS.get(place) ?? new Map(place.keys.map((key) => [fold(key), key]));
  SPELLINGS.set(place, known);
  return known;
}

/** What a string of JSON says. Hardly any key is written with an escape. */
function textOf(text: string, start: number, end: number): string {
  const written = text.slice(start, end);
  return written.includes('\\') ? (JSON.parse(written) as string) : written.slice(1, -1);
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
      const key = reading(textOf(text, start, end));
      const keys = objects.at(-1);
      if (keys?.has(key) === true) return true;
      keys?.add(key);
      return false;
    },
  });
}

/** Whether an object anywhere in the text has exactly the same key twice. @param text JSON that has been parsed without error */
export function repeatsKey(text: string): boolean {
  return hasRepeatedKey(text, (key) => key);
}
