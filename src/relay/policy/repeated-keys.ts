import { looseName } from './names.ts';

/**
 * Whether an object anywhere in the text has a key twice, or two that a careless reader takes for one: what is judged
 * would be the last of them here, and the first or both elsewhere (RFC 8259 §4).
 *
 * @param text JSON that has been parsed without error
 */
export function hasRepeatedKey(text: string): boolean {
  const objects: Array<Set<string> | undefined> = [];
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]]/g;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [found] = match;
    if (found === '{') objects.push(new Set());
    else if (found === '[') objects.push(undefined);
    else if (found === '}' || found === ']') objects.pop();
    else {
      const keys = objects.at(-1);
      if (keys === undefined || !isKey(text, token.lastIndex)) continue;
      const key = looseName(JSON.parse(found) as string);
      if (keys.has(key)) return true;
      keys.add(key);
    }
  }
  return false;
}

/** @param end behind the closing quote */
function isKey(text: string, end: number): boolean {
  let next = end;
  while (next < text.length && text.charCodeAt(next) <= 0x20) next += 1;
  return text.charCodeAt(next) === 0x3a;
}
