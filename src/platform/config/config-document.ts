import { isAlias, isCollection, isMap, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { ConfigurationError } from '../errors.ts';
import { yamlProblem } from './yaml-problem.ts';

/** A configuration file as it was read. */
export interface ConfigDocument {
  readonly path: string;
  readonly text: string;
  /** Undefined where the file holds nothing but comments. */
  readonly content: unknown;
  /** Whether the file shows by itself that nothing was cut off: it ends with `...`, or is one `{…}` (YAML 1.2.2 §9.1.4). */
  readonly ended: boolean;
  /** Whether the last value has no line break after it, and might be the beginning of a longer one. */
  readonly cutValue: boolean;
  /** Keys and indexes down to the last value, as far as indentation alone ends it; a file cut short may lack more there. */
  readonly openPath: readonly PropertyKey[];
}

const WITHIN_LINE = 'ends within a line, as a file that was cut short; end it with a line break';

/**
 * Parses the text of a configuration file. A file that shows that it was cut short is refused, because what is missing
 * might have narrowed a rule.
 *
 * @throws ConfigurationError
 */
export function parseConfigDocument(path: string, text: string): ConfigDocument {
  const problem = (message: string, cause?: unknown) => new ConfigurationError([`${path}: ${message}`], cause);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: true, stringKeys: true });
  const fault = yamlProblem(document, text, lines);
  if (fault !== undefined) throw problem(fault);
  let content: unknown;
  try {
    content = document.toJS() ?? undefined;
  } catch (cause) {
    throw problem('aliases (`*name`) repeat too much; write the values out', cause);
  }
  const { docStart, docEnd } = document.directives ?? {};
  if (docStart === true && docEnd !== true)
    throw problem('starts with `---` but does not end with `...`, as a file that was cut short; add that line');
  const root = document.contents;
  const ended = docEnd === true || (isCollection(root) && root.flow === true);
  const last = ended ? { path: [], leaf: null } : lastOf(root);
  const cutValue = !ended && endsWithin(last.leaf, text);
  // A single value that lost its end is another value; one of a list may be a path or a range that covers more.
  if (isMap(root) && cutValue && last.path.some((part) => typeof part === 'number')) throw problem(WITHIN_LINE);
  return { path, text, content, ended, cutValue, openPath: last.path };
}

/**
 * Refuses a file that may be the beginning of what was meant to replace the running one.
 *
 * @throws ConfigurationError
 */
export function checkReplacement(next: ConfigDocument, running: ConfigDocument): void {
  const problem = (message: string) => new ConfigurationError([`${next.path}: ${message}`]);
  if (next.ended || (next.content === undefined && running.content === undefined)) return;
  if (next.content === undefined) throw problem('holds nothing; write `{}` where no key is meant to be set');
  if (next.cutValue) throw problem(WITHIN_LINE);
  if (running.ended) throw problem('does not end with `...` as the file before did; it may be cut short');
  const [now, before] = [next.text.trimEnd(), running.text.trimEnd()];
  if (now.length < before.length && before.startsWith(now))
    throw problem('is the beginning of the file before and may be cut short; end it with a line `...` if it is meant');
}

function lastOf(root: Node | null): { path: PropertyKey[]; leaf: Node | null } {
  const path: PropertyKey[] = [];
  let leaf = root;
  while (isCollection(leaf) && leaf.flow !== true) {
    const item: unknown = leaf.items.at(-1);
    path.push(isMap(leaf) && isPair(item) ? String(item.key) : leaf.items.length - 1);
    leaf = ((isPair(item) ? item.value : item) ?? null) as Node | null;
  }
  return { path, leaf };
}

/** Only text and numbers can lose their end and stay what they are. */
function endsWithin(leaf: Node | null, text: string): boolean {
  if (isAlias(leaf)) return !text.endsWith('\n');
  if (!isScalar(leaf) || leaf.range == null || leaf.type?.startsWith('QUOTE') === true) return false;
  if (typeof leaf.value !== 'string' && typeof leaf.value !== 'number') return false;
  return leaf.type === 'PLAIN' ? /^[ \t]*$/.test(text.slice(leaf.range[1])) : !text.endsWith('\n');
}
