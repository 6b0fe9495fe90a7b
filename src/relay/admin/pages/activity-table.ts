import { type Html, html } from '../../../platform/pages/html.ts';
import type { ActivityEntry, DenialEntry } from '../recent-activity.ts';
import { badge, type Column, clock, detail, duration, name, ruleLink, table, who, words } from './parts.ts';

/** Outcomes of the audit log that are what everybody wanted. */
const GOOD = ['relayed', 'allow', 'done', 'connected', 'signed_in'];

/** Those of forward-auth are in its own configuration. */
const POLICY_RULE = /^relay\.policy\.rules\[\d+\]$/;

const COLUMNS: ReadonlyArray<Column<ActivityEntry>> = [
  { head: 'Time (UTC)', cell: ({ time }) => clock(time) },
  { head: 'Event', cell: ({ event }) => words(event) },
  { head: 'Outcome', cell: ({ outcome }) => badge(GOOD.includes(outcome) ? 'good' : 'bad', words(outcome)) },
  { head: 'User', kind: 'long', cell: (entry) => who(entry) ?? entry.credential },
  { head: 'Server', cell: ({ server }) => server },
  { head: 'What', kind: 'long', cell: ({ action, object }) => name([action, object].filter(Boolean).join(' ')) },
  { head: 'Why', kind: 'long', cell: whyOf },
  { head: 'Took', cell: ({ durationMs }) => (durationMs === undefined ? undefined : duration(durationMs)) },
];

const DENIAL_COLUMNS: ReadonlyArray<Column<DenialEntry>> = [
  { head: 'Time (UTC)', cell: ({ time, count }) => html`${clock(time)}${count > 1 ? ` × ${count}` : ''}` },
  { head: 'Process', cell: ({ process }) => process },
  { head: 'User', kind: 'long', cell: (entry) => who(entry) ?? entry.client ?? entry.credential },
  {
    head: 'What',
    kind: 'long',
    cell: ({ server, action, object }) =>
      html`${name([action, object].filter(Boolean).join(' '))}${detail('at', server)}`,
  },
  {
    head: 'Why',
    kind: 'long',
    cell: ({ reason = '', rule, needs, has }) =>
      html`${whyOf({ reason: words(reason), rule })}${detail('needs', needs)}${detail('has', has)}`,
  },
  { head: 'Fix', kind: 'long', cell: ({ fix, requestId }) => html`${fix}${detail('request', requestId)}` },
];

function whyOf({ reason, rule }: Pick<ActivityEntry, 'reason' | 'rule'>): Html | string | undefined {
  if (rule === undefined || !POLICY_RULE.test(rule)) return [reason, rule].filter(Boolean).join(' · ');
  return html`<span>${reason ? `${reason} · ` : ''}${ruleLink(rule)}</span>`;
}

/** Of both processes. */
export function denialTable(entries: readonly DenialEntry[]): Html {
  return table('Recent denials, newest first', DENIAL_COLUMNS, entries, { empty: 'Nothing yet that fits.' });
}

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
