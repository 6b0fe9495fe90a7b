import { isNode, LineCounter, parseDocument } from 'yaml';
import type { ConfigDocument } from './config-document.ts';

/** Where a value of the configuration was written, and how. */
export interface ConfigSource {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/**
 * Finds a value in the file. Only for values that hold no secret: the text is shown as it is.
 *
 * @param path keys and indexes from the root, or a text such as `auth.rules[1]`
 * @returns undefined where the file does not hold it, because the environment does
 */
export function sourceOf(
  document: ConfigDocument | undefined,
  path: readonly PropertyKey[] | string,
): ConfigSource | undefined {
  if (document === undefined) return undefined;
  if (typeof path === 'string')
    return sourceOf(
      document,
      path.split(/[.[\]]+/).filter((key) => key !== ''),
    );
  const lines = new LineCounter();
  const node = parseDocument(document.text, { lineCounter: lines, stringKeys: true }).getIn(path, true);
  if (!isNode(node) || node.range == null) return undefined;
  const [start, end] = node.range;
  const { line, col } = lines.linePos(start);
  const text = document.text
    .slice(start, end)
    .trimEnd()
    .split('\n')
    // The first line begins where the value does, the others have its indentation.
    .map((part, index) => (index === 0 ? part : part.replace(new RegExp(`^ {1,${col - 1}}`), '')))
    .join('\n');
  return { file: document.path, line, text };
}

/** For people: what it is called and where it stands, then its text as it stands there. */
export function sourceLines(title: string, { file, line, text }: Partial<ConfigSource>): string[] {
  const place = file === undefined ? '' : ` at ${file}:${line}`;
  return [`${title}${place}`, ...(text?.split('\n').map((part) => `    ${part}`) ?? [])];
}
