import { isRecord } from '../platform/is-record.ts';

export type AuditLine = Readonly<Record<string, unknown>>;

/** Events of the audit log that say whether somebody may do something. */
const DECISIONS: ReadonlySet<unknown> = new Set(['decision', 'denial', 'tool_call']);

/**
 * A line of the audit log as a person reads it while it happens: time, verdict, who, what, why.
 *
 * @returns undefined if it is not a decision
 */
export function decisionLine(entry: AuditLine): string | undefined {
  if (!DECISIONS.has(entry.event)) return undefined;
  const { outcome, server, action, object, reason, rule } = entry;
  // A call is written when it is admitted and when it ended; the second line says all.
  if (entry.event === 'tool_call' && outcome === 'admitted') return undefined;
  const who = [entry.username, entry.name, entry.email, entry.user].find((name) => typeof name === 'string');
  const what = [server, action, object].filter((part) => typeof part === 'string').join(' ');
  const why = [reason, rule].filter((part) => typeof part === 'string').join(', ');
  return `${String(entry.time).slice(11, 19)} ${String(outcome).padEnd(8)} ${who ?? 'anonymous'}  ${what}${why === '' ? '' : `  (${why})`}`;
}

/** @returns undefined if a service's line is one of its log */
export function auditLine(text: string): AuditLine | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) && 'event' in value && !('level' in value) ? value : undefined;
  } catch {
    return undefined;
  }
}
