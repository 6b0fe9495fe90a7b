/** U+0085, U+2028 and U+2029 stand in strings of JSON only (RFC 8259 §7). */
const OTHER_LINE_ENDS = /[\u0085\u2028\u2029]/g;

/**
 * The same JSON in one line for every reader of event streams: Python's `str.splitlines`, by which MCP clients have read them, ends
 * lines where HTML does not.
 */
export function withEscapedLineEnds(json: string): string {
  return json.replace(OTHER_LINE_ENDS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
