import { scanJson } from './json-scanner.ts';

/** Levels of objects and lists in one message. What reads JSON knows no limit here, and what writes it ends at some thousands. */
export const MAX_NESTING = 512;

/**
 * Whether a message is nested so deep that it could be read, but not be written or gone through: the error of that would come
 * wherever the message happens to be.
 *
 * @param text JSON that has been parsed without error
 */
export function nestsTooDeep(text: string): boolean {
  // What opens must close as well.
  if (text.length <= 2 * MAX_NESTING) return false;
  let depth = 0;
  return scanJson(text, {
    open() {
      depth += 1;
      return depth > MAX_NESTING;
    },
    close() {
      depth -= 1;
    },
  });
}
