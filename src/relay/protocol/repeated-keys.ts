/**
 * Whether an object anywhere in the text has a key twice, or two that a careless reader takes for one: what is judged
 * would be the last of them here, and the first or both elsewhere (RFC 8259 §4).
 *
 * @param text JSON that has been parsed without error
 * @param fold what a careless reader takes a key for
 */
export function hasRepeatedKey(text: string, fold: (key: string) => string): boolean {
  const objects: Array<Set<string> | undefined> = [];
  for (let at = 0; at < text.length; at++) {
    const found = text[at];
    if (found === '{') objects.push(new Set());
    else if (found === '[') objects.push(undefined);
    else if (found === '}' || found === ']') objects.pop();
    else if (found === '"') {
      const start = at;
      at = endOfString(text, start);
      const keys = objects.at(-1);
      if (keys === undefined || !isKey(text, at + 1)) continue;
      const key = fold(JSON.parse(text.slice(start, at + 1)) as string);
      if (keys.has(key)) return true;
      keys.add(key);
    }
  }
  return false;
}

/** @param start of the opening quote @returns the place of the closing one */
function endOfString(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
  return end;
}

/** @param end behind the closing quote */
function isKey(text: string, end: number): boolean {
  let next = end;
  while (next < text.length && text.charCodeAt(next) <= 0x20) next += 1;
  return text.charCodeAt(next) === 0x3a;
}
