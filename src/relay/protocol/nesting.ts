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
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === 0x5c /* \ */) at += 1;
      else if (code === 0x22 /* " */) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b /* { */ || code === 0x5b /* [ */) {
      depth += 1;
      if (depth > MAX_NESTING) return true;
    } else if (code === 0x7d /* } */ || code === 0x5d /* ] */) depth -= 1;
  }
  return false;
}
