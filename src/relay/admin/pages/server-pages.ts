import type Koa from 'koa';
import type { z } from 'zod';
import { type Html, html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { ADMIN } from '../paths.ts';
import { activityTable } from './activity-table.ts';
import { PAGES, show } from './frame.ts';
import { badge, duration, moment, name, table } from './parts.ts';

type Server = z.output<Catalog['getServer']['description']['output']>['server'];

const HEALTH = {
  answering: badge('good', 'answering'),
  failing: badge('bad', 'failing'),
  unknown: badge('none', 'not asked yet'),
} as const;

export async function overviewPage(ctx: Koa.Context, catalog: Catalog): Promise<void> {
  const operator = operatorOf(ctx);
  const [{ servers }, { entries }, { reasons }] = await Promise.all([
    catalog.listServers.run({}, operator),
    catalog.listActivity.run({ limit: 10 }, operator),
    catalog.listDenials.run({ limit: 1 }, operator),
  ]);
  const failing = servers.filter(({ health }) => health === 'failing').length;
  const sum = (part: (server: Server) => number) => servers.reduce((total, server) => total + part(server), 0);
  const held = sum(({ tools }) => tools.heldBack);
  const body = html`<dl class="cards">
<div><dt>MCP servers</dt><dd>${servers.length}<small>${failing === 0 ? 'none failing' : `${failing} failing`}</small></dd></div>
<div><dt>Requests relayed</dt><dd>${sum(({ requests }) => requests.relayed)}<small>since the start</small></dd></div>
<div><dt>Requests refused</dt><dd>${reasons.reduce((total, { count }) => total + count, 0)}<small><a href="${PAGES.denials.path}">why</a></small></dd></div>
<div><dt>Tools held back</dt><dd>${held}<small>of ${sum(({ tools }) => tools.known)} known</small></dd></div>
</dl>
<h2>MCP servers</h2>${serverTable(servers)}
<h2>Recent activity</h2>${activityTable('The last ten things that happened', entries)}
<p><a href="${PAGES.activity.path}">All activity</a></p>`;
  show(ctx, { title: 'Overview', page: 'overview', body, operator });
}

function serverTable(servers: readonly Server[]): Html {
  return table(
    'MCP servers',
    [
      {
        head: 'Server',
        kind: 'name',
        cell: (server) => html`<a href="${ADMIN}/servers/${server.name}">${server.name}</a>`,
      },
      { head: 'Health', cell: ({ health }) => HEALTH[health] },
      { head: 'Reached by', cell: ({ transport }) => transport },
      { head: 'Median', kind: 'number', cell: ({ latency }) => duration(latency.medianMs) },
      { head: '95 %', kind: 'number', cell: ({ latency }) => duration(latency.p95Ms) },
      { head: 'Relayed', kind: 'number', cell: ({ requests }) => requests.relayed },
      { head: 'Refused', kind: 'number', cell: ({ requests }) => requests.refused },
      { head: 'Failed', kind: 'number', cell: ({ requests }) => requests.failed },
      {
        head: 'Tools',
        kind: 'number',
        cell: ({ tools }) =>
          tools.heldBack === 0 ? tools.known : html`${tools.known} ${badge('warn', `${tools.heldBack} held`)}`,
      },
    ],
    servers,
    { empty: 'No MCP server is configured: relay.servers names them.' },
  );
}

export async function serverPage(ctx: Koa.Context, catalog: Catalog): Promise<void> {
  const operator = operatorOf(ctx);
  const wanted = ctx.params.server;
  const [{ server, tools }, { entries }] = await Promise.all([
    catalog.getServer.run({ server: wanted }, operator),
    catalog.listActivity.run({ server: wanted, limit: 20 }, operator),
  ]);
  const { requests, latency } = server;
  const list = table(
    `Tools of ${server.name}`,
    [
      { head: 'Tool', kind: 'name', cell: (tool) => name(tool.name) },
      {
        head: 'State',
        cell: ({ state }) => (state === 'usable' ? badge('good', 'usable') : badge('warn', 'held back')),
      },
      { head: 'Read-only', cell: ({ readOnly }) => (readOnly ? 'claimed' : 'no') },
      { head: 'Definition', cell: ({ pin }) => PINS[pin] },
      { head: 'Listed', cell: ({ listedAt }) => moment(listedAt) },
      { head: 'Calls', kind: 'number', cell: ({ calls }) => calls.relayed },
      { head: 'Refused', kind: 'number', cell: ({ calls }) => calls.refused },
      { head: 'Failed', kind: 'number', cell: ({ calls }) => calls.failed },
    ],
    tools,
    { empty: 'No client has listed its tools yet.' },
  );
  const body = html`<div class="card"><dl class="facts">
<dt>Health</dt><dd>${HEALTH[server.health]}</dd>
<dt>Reached by</dt><dd>${server.transport}, <span class="name">${server.target}</span></dd>
<dt>Latency</dt><dd>${duration(latency.medianMs)} median, ${duration(latency.p95Ms)} 95 %, of ${latency.count} recent messages</dd>
<dt>Requests</dt><dd>${requests.relayed} relayed, ${requests.refused} refused, ${requests.failed} failed since the start</dd>
<dt>Tools</dt><dd>${server.pinned ? 'held to their pinned definitions' : 'not pinned'}${server.tools.complete ? undefined : ', not listed to the end yet'}</dd>
</dl></div>
<h2>Tools</h2>${list}
<h2>Recent activity</h2>${activityTable(`Recent activity at ${server.name}`, entries)}`;
  show(ctx, { title: server.name, lead: 'MCP server', body, operator });
}

const PINS = {
  none: 'not pinned',
  'first-seen': 'pinned as first seen',
  approved: 'approved',
} as const;
