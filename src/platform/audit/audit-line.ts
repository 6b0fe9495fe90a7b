import { type UserName, withUser } from '../../identity/user.ts';
import { redact } from '../redact.ts';
import type { AuditEntry } from './audit-entry.ts';

export interface AuditLineDeps {
  readonly process: 'forward-auth' | 'relay';
  /** Which names of a user are written; absent: none. */
  readonly names?: readonly UserName[];
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/** Characters of one text in a line: names come from strangers. */
const MAX_TEXT = 1_024;

/** One entry as JSON in one line: without secrets, each text bounded. */
export function auditLine(entry: AuditEntry, { process, names, now }: AuditLineDeps): string {
  const time = new Date(now()).toISOString();
  const record = { time, process, ...(redact(withUser(entry, names ?? [])) as object) };
  return JSON.stringify(record, (_name, value: unknown) => written(value));
}

/** Keys come from strangers as values do: arguments of a call are objects. */
function written(value: unknown): unknown {
  if (typeof value === 'string') return bounded(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [bounded(key), item]));
}

/** What a terminal or a line reader would obey is spelled out: a name must not look like another line. */
function bounded(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return short.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
