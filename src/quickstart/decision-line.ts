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
  const who = present([entry.username, entry.name, entry.email, entry.user])[0] ?? 'anonymous';
  const what = present([server, action, object]).join(' ');
  const why = present([reason, rule]).join(', ');
  const verdict = `${String(entry.time).slice(11, 19)} ${String(outcome).padEnd(9)} ${who}`;
  return present([verdict, what, why && `(${why})`]).join('  ');
}

/** What is said at all: where nothing is known of it, a field is absent or empty. */
function present(parts: readonly unknown[]): string[] {
  return parts.filter((part) => typeof part === 'string').filter((part) => part.trim() !== '');
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
