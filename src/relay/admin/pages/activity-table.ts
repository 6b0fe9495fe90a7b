import { type Html, html } from '../../../platform/pages/html.ts';
import type { ActivityEntry } from '../recent-activity.ts';
import { badge, type Column, clock, duration, name, table, who, words } from './parts.ts';

/** Outcomes of the audit log that are what everybody wanted. */
const GOOD = ['relayed', 'allow', 'done', 'connected', 'signed_in'];

const COLUMNS: ReadonlyArray<Column<ActivityEntry>> = [
  { head: 'Time (UTC)', cell: ({ time }) => clock(time) },
  { head: 'Event', cell: ({ event }) => words(event) },
  { head: 'Outcome', cell: ({ outcome }) => badge(GOOD.includes(outcome) ? 'good' : 'bad', words(outcome)) },
  { head: 'User', kind: 'long', cell: (entry) => who(entry) ?? entry.credential },
  { head: 'Server', cell: ({ server }) => server },
  { head: 'What', kind: 'long', cell: ({ action, object }) => name([action, object].filter(Boolean).join(' ')) },
  { head: 'Why', kind: 'long', cell: ({ reason, rule }) => [reason, rule].filter(Boolean).join(' · ') },
  { head: 'Took', cell: ({ durationMs }) => (durationMs === undefined ? undefined : duration(durationMs)) },
];

/** @param live what the script is to add, where it may add anything */
export function activityTable(
  caption: string,
  entries: readonly ActivityEntry[],
  live?: Readonly<Record<string, string | undefined>>,
): Html {
  const empty = 'Nothing yet that fits.';
  if (live === undefined) return table(caption, COLUMNS, entries, { empty });
  const marks = html` data-live="${JSON.stringify(live)}" data-good="${GOOD.join(' ')}"`;
  return table(caption, COLUMNS, entries, { empty, live: marks });
}
