import type Koa from 'koa';
import { html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { show } from './frame.ts';
import { badge, clock, name, table, who } from './parts.ts';

const EVERY = '*';

export async function limitsPage(ctx: Koa.Context, catalog: Catalog): Promise<void> {
  const operator = operatorOf(ctx);
  const { limits, refused, states } = await catalog.listRateLimits.run({}, operator);
  const running = table(
    'Windows that run now, the fullest first',
    [
      { head: 'User', kind: 'name', cell: (state) => who(state) ?? 'anonymous' },
      { head: 'Counted by', cell: ({ by }) => by },
      { head: 'Server', cell: ({ server }) => server },
      { head: 'Tool', kind: 'long', cell: ({ tool }) => name(tool) },
      { head: 'State', cell: ({ over }) => (over ? badge('bad', 'over') : badge('good', 'within')) },
      { head: 'Used', kind: 'number', cell: ({ limit, remaining }) => `${limit - remaining} of ${limit}` },
      { head: 'Ends (UTC)', cell: ({ resetsAt }) => clock(resetsAt) },
    ],
    states,
    { empty: 'No user is counted now.' },
  );
  const configured = table(
    'Configured limits',
    [
      { head: 'Counted by', kind: 'name', cell: ({ by }) => by },
      { head: 'Messages', kind: 'number', cell: ({ limit }) => limit },
      { head: 'Window', kind: 'number', cell: ({ seconds }) => `${seconds} s` },
      { head: 'Servers', cell: ({ servers }) => allOr(servers) },
      { head: 'Tools', cell: ({ tools }) => allOr(tools) },
      {
        head: 'Refused',
        kind: 'number',
        cell: ({ by }) => refused.find((one) => one.by === by)?.count ?? 0,
      },
    ],
    limits,
    { empty: 'No limit is configured: relay.rateLimits has none.' },
  );
  const lead = 'How much of the relay’s limits is used now, as this replica saw it last.';
  show(ctx, {
    title: 'Rate limits',
    page: 'limits',
    lead,
    body: html`${running}<h2>Configured</h2>${configured}`,
    operator,
  });
}

function allOr(globs: readonly string[]): string {
  return globs.includes(EVERY) ? 'all' : globs.join(', ');
}
