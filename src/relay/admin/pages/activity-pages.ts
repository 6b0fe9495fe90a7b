import type Koa from 'koa';
import { type Html, html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { activityTable, denialTable } from './activity-table.ts';
import { PAGES, show } from './frame.ts';
import { badge, input, select, table, words } from './parts.ts';

const EVENTS = ['tool_call', 'message', 'denial', 'connection', 'operator', 'tool_changed', 'authorization'];

export async function activityPage(ctx: Koa.Context, catalog: Catalog, live: boolean): Promise<void> {
  const operator = operatorOf(ctx);
  const filter = filterOf(ctx.query);
  const [{ entries }, servers] = await Promise.all([
    catalog.listActivity.run({ ...filter, limit: 200 }, operator),
    serverChoices(ctx, catalog),
  ]);
  const events = [{ value: '', text: 'all' }, ...EVENTS.map((value) => ({ value, text: words(value) }))];
  const state = live
    ? html`<p class="live"><span role="status" data-live-state>Not live without JavaScript</span><button class="plain" type="button" data-live-pause hidden>Pause</button></p>`
    : undefined;
  const body = html`<form class="filters" method="get" action="${PAGES.activity.path}">${select('Event', 'event', events, filter.event)}${select('Server', 'server', servers, filter.server)}${input('User', 'user', filter.user, 'name, e-mail or user')}<button>Show</button></form>
${state}${activityTable('Recent activity, newest first', entries, live ? filter : undefined)}`;
  const lead = 'The last messages, tool calls and refusals of this relay. Arguments of calls are not shown.';
  show(ctx, { title: 'Activity', page: 'activity', lead, body, operator, script: live });
}

export async function denialsPage(ctx: Koa.Context, catalog: Catalog): Promise<void> {
  const operator = operatorOf(ctx);
  const filter = filterOf(ctx.query);
  const [{ reasons, policy, entries, replicas, forwardAuthProblem }, servers] = await Promise.all([
    catalog.listDenials.run({ ...filter, limit: 200 }, operator),
    serverChoices(ctx, catalog),
  ]);
  const counts = table(
    'Requests that the relay refused since the start, by reason',
    [
      { head: 'Reason', kind: 'name', cell: ({ reason }) => words(reason) },
      { head: 'Requests', kind: 'number', cell: ({ count }) => count },
    ],
    reasons,
    { empty: 'Nothing was refused since the start.' },
  );
  const byPolicy = table(
    'Refusals of the policy since the start',
    [
      { head: 'Server', kind: 'name', cell: ({ server }) => server },
      { head: 'Reason', cell: ({ reason }) => words(reason) },
      { head: 'Mode', cell: ({ dryRun }) => (dryRun ? badge('warn', 'dry run') : badge('plain', 'enforced')) },
      { head: 'Messages', kind: 'number', cell: ({ count }) => count },
    ],
    policy,
    { empty: 'The policy refused nothing since the start.' },
  );
  const body = html`<form class="filters" method="get" action="${PAGES.denials.path}">${select('Server', 'server', servers, filter.server)}${input('User', 'user', filter.user, 'name, e-mail or user')}<button>Show</button></form>
${problemNote(forwardAuthProblem)}${denialTable(entries)}
<h2>Requests by reason</h2>${counts}<h2>By policy</h2>${byPolicy}`;
  const asked = replicas.forwardAuth && ` and of forward-auth at ${replicas.forwardAuth}, which it asked`;
  const lead = `Recent denials of forward-auth and the relay, why, and what to change. Each replica knows its own denials: these are of the relay at ${replicas.relay}${asked ?? ''}.`;
  show(ctx, { title: 'Denials', page: 'denials', lead, body, operator });
}

function problemNote(problem: string | undefined): Html | undefined {
  if (problem === undefined) return undefined;
  return html`<p class="note warn" role="status">Denials of forward-auth are not shown: ${problem}. These are the relay’s.</p>`;
}

async function serverChoices(ctx: Koa.Context, catalog: Catalog) {
  const { servers } = await catalog.listServers.run({}, operatorOf(ctx));
  return [{ value: '', text: 'all' }, ...servers.map(({ name }) => ({ value: name, text: name }))];
}

/** An empty field asks for everything. */
function filterOf(query: Koa.Context['query']): { event?: string; server?: string; user?: string } {
  const wanted = ['event', 'server', 'user'].flatMap((name) => {
    const value = query[name];
    return typeof value === 'string' && value !== '' ? [[name, value] as const] : [];
  });
  return Object.fromEntries(wanted);
}
