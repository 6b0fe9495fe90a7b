import { isRecord } from '../../../platform/is-record.ts';

/**
 * Metadata of a client without the members that say nothing: real clients write `null`, `""` and `[]` for what they do not have, where
 * RFC 7591 §2 has them leave it out.
 *
 * @param text JSON
 * @returns the text as it is where it is no JSON object
 */
export function withoutEmptyMembers(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  if (!isRecord(value)) return text;
  const members = Object.entries(value).map(([name, member]) => [name, withoutEmptyItems(member)] as const);
  return JSON.stringify(Object.fromEntries(members.filter(([, member]) => !isEmpty(member))));
}

function withoutEmptyItems(member: unknown): unknown {
  return Array.isArray(member) ? member.filter((item) => !isEmpty(item)) : member;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || (Array.isArray(value) && value.length === 0);
}
