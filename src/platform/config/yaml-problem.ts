import { type Document, isCollection, isScalar, type LineCounter, type Node, visit, type YAMLParseError } from 'yaml';

/** In words of who writes a file; of others the library's own. */
const WORDS: Partial<Record<YAMLParseError['code'], string>> = {
  DUPLICATE_KEY: 'this key is there already; keys of a map must be unique',
  TAB_AS_INDENT: 'a tab in the indentation; YAML takes spaces only',
  BAD_INDENT: 'this line is indented otherwise than those that it belongs to',
  MULTIPLE_DOCS: 'a second document begins here (`---`); write all keys into one',
  UNEXPECTED_TOKEN: 'this is not expected here',
  MULTILINE_IMPLICIT_KEY: 'no key begins here; a key needs a colon and a space after it (`key: value`)',
  MISSING_CHAR: 'something is missing here, such as the space after a colon, a comma, or a closing bracket',
};

/**
 * The first fault of a file, because those after it follow from it.
 *
 * @returns cause, line and column; never what the file holds, which may be a secret. Undefined where there is none
 */
export function yamlProblem(document: Document.Parsed, text: string, lines: LineCounter): string | undefined {
  const [first] = document.errors.toSorted((one, other) => one.pos[0] - other.pos[0]);
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  if (first === undefined) {
    const alias = unusableAlias(document);
    return alias && `${at(alias.at)}: ${alias.what}`;
  }
  const open = openedBefore(document, text, first.pos[0]);
  if (open !== undefined) return `${at(open.at)}: ${open.what}`;
  const own = first.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '');
  return `${at(first.pos[0])}: ${WORDS[first.code] ?? own}`;
}

interface Opened {
  readonly at: number;
  readonly what: string;
}

/** An alias that repeats nothing, or what it stands in itself; never its name, because a secret that begins with `*` reads as one. */
function unusableAlias(document: Document.Parsed): Opened | undefined {
  let found: Opened | undefined;
  visit(document, {
    Alias: (_, alias) => {
      const [at = 0] = alias.range ?? [];
      const repeated = alias.resolve(document);
      if (repeated === undefined)
        found = {
          at,
          what: 'an alias (`*name`) has no anchor (`&name`) before it; a text that begins with * needs quotes',
        };
      else if ((repeated.range?.[1] ?? 0) > at)
        found = { at, what: 'an alias (`*name`) stands in the value that it repeats; write that value out' };
      return found && visit.BREAK;
    },
  });
  return found;
}

/** A quote or a bracket that was opened before a fault and is not closed, or not on its line, is what a person forgot to close. */
function openedBefore(document: Document.Parsed, text: string, fault: number): Opened | undefined {
  let found: Opened | undefined;
  visit(document, {
    Node: (_, node) => {
      const [start = 0, end = 0] = (node as Node).range ?? [];
      if (start > fault) return visit.BREAK;
      if (isScalar(node) && /^QUOTE_/.test(node.type ?? '') && isOpen(text.slice(start, end))) {
        found = { at: start, what: `the quote (${text[start]}) that begins here is not closed on its line; close it` };
        return visit.BREAK;
      }
      if (isCollection(node) && node.flow === true && !/[\]}]/.test(text[end - 1] ?? ''))
        found = { at: start, what: `the bracket (${text[start]}) that begins here is not closed; close it` };
      return undefined;
    },
  });
  return found;
}

/** A quoted text that goes on over lines, or has no quote at its end. */
function isOpen(quoted: string): boolean {
  return quoted.includes('\n') || quoted.length < 2 || !quoted.endsWith(quoted[0] as string);
}
