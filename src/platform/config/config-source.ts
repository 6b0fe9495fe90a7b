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
 * @param path keys and indexes from the root
 * @returns undefined where the file does not hold it, because the environment does
 */
export function sourceOf(document: ConfigDocument | undefined, path: readonly PropertyKey[]): ConfigSource | undefined {
  if (document === undefined) return undefined;
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
