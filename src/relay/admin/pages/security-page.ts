import type Koa from 'koa';
import type { z } from 'zod';
import { type Html, html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { show } from './frame.ts';
import { badge, type Column, moment, table, who, words } from './parts.ts';

type SecurityEvent = z.output<Catalog['listSecurityEvents']['description']['output']>['events'][number];

const SEVERITIES = {
  critical: badge('bad', 'critical'),
  warning: badge('warn', 'warning'),
  notice: badge('plain', 'notice'),
} as const;

const COLUMNS: ReadonlyArray<Column<SecurityEvent>> = [
  { head: 'Kind', kind: 'name', cell: ({ kind }) => words(kind) },
  { head: 'Severity', cell: ({ severity }) => SEVERITIES[severity] },
  {
    head: 'What',
    kind: 'long',
    cell: ({ message, reason }) => (reason === undefined ? message : `${message} (${words(reason)})`),
  },
  { head: 'User', kind: 'long', cell: who },
  { head: 'Address', cell: ({ address }) => address },
  { head: 'Server', cell: ({ server }) => server },
  { head: 'Times', kind: 'number', cell: ({ count }) => count },
  { head: 'Seen by', cell: ({ process }) => process },
  { head: 'Last', cell: ({ lastAt }) => moment(lastAt) },
];

export async function securityPage(ctx: Koa.Context, catalog: Catalog): Promise<void> {
  const operator = operatorOf(ctx);
  const { watching, events } = await catalog.listSecurityEvents.run({ limit: 200 }, operator);
  const body = watching
    ? securityTable(events)
    : html`<p class="note warn">Watching is off: <code>watch.enabled</code> is false.</p>`;
  const lead = 'Unusual events. Nothing is refused because of them; take a look.';
  show(ctx, { title: 'Security events', page: 'security', lead, body, operator });
}

export function securityTable(events: readonly SecurityEvent[]): Html {
  return table('Security events, newest first', COLUMNS, events, { empty: 'No security event recently.' });
}
