import type { Context } from 'koa';
import type { Identity } from '../../identity/identity.ts';
import { createAssets } from '../../platform/pages/assets.ts';
import { type Html, html } from '../../platform/pages/html.ts';
import { PageFrame } from '../../platform/pages/page.ts';
import type { Connection } from './connection.ts';
import { CONNECT, CONNECT_ASSETS, serverPath } from './paths.ts';

/** Everything that the pages load, by its path. */
export const ASSETS = createAssets(CONNECT_ASSETS);
const frame = new PageFrame(ASSETS);

/** Our forms must come with their `Origin`, which the relay checks on every request. */
const OWN = { referrerPolicy: 'same-origin' } as const;

/** One MCP server, as the pages name it. */
export interface Listed {
  readonly server: string;
  /** The provider's name. */
  readonly name: string;
  readonly connection: Connection | undefined;
}

export function showList(ctx: Context, identity: Identity, listed: readonly Listed[]): void {
  const items = listed.map(
    (entry) => html`<li class="entry"><dl><dt>${entry.name}</dt><dd>${stateOf(entry.connection)}</dd></dl>
<a href="${serverPath(entry.server)}">Manage ${entry.name}</a></li>`,
  );
  frame.show(
    ctx,
    'Your connections',
    html`<p>Signed in as ${nameOf(identity)}. These servers act with an account of your own.</p><ul>${items}</ul>`,
    OWN,
  );
}

/** @param token of the forms */
export function showServer(
  ctx: Context,
  identity: Identity,
  { server, name, connection }: Listed,
  token: string,
): void {
  const form = (action: 'connect' | 'disconnect', label: string) =>
    html`<form method="post" action="${serverPath(server)}"><input type="hidden" name="token" value="${token}"><p><button name="action" value="${action}">${label}</button></p></form>`;
  const usable = connection !== undefined && connection.broken !== true;
  const forms: Html[] = [
    ...(usable ? [] : [form('connect', connection === undefined ? 'Connect' : 'Connect again')]),
    ...(connection === undefined ? [] : [form('disconnect', 'Disconnect')]),
  ];
  frame.show(
    ctx,
    usable ? `${name} is connected` : `Connect ${name}`,
    html`<dl><dt>You</dt><dd>${nameOf(identity)}</dd><dt>MCP server</dt><dd>${server}</dd><dt>Connection</dt><dd>${stateOf(connection)}</dd></dl>
<p>${usable ? html`What you do on this server is done with that account.` : html`${name} will ask you what this server may do in your name.`}</p>
${forms}<p><a href="${CONNECT}">All connections</a></p>`,
    OWN,
  );
}

/** On the way to the provider. */
export function showOnwards(ctx: Context, name: string, url: URL): void {
  frame.show(
    ctx,
    `On to ${name}`,
    html`<p>You are being led to ${url.host}.</p><p><a class="button" href="${url.href}">Go on</a></p>`,
    { ...OWN, onwards: url.href },
  );
}

export interface Problem {
  readonly status: number;
  readonly title: string;
  /** What happened, and what to do. */
  readonly advice: string;
  /** Where to try again. */
  readonly again?: string;
}

export function showProblem(ctx: Context, { status, title, advice, again }: Problem): void {
  if (status === 503) ctx.set('Retry-After', '5');
  const link = again === undefined ? undefined : html`<p><a class="button" href="${again}">Try again</a></p>`;
  frame.show(
    ctx,
    title,
    html`<p role="alert">${advice}</p>${link}<p class="quiet">Request ${ctx.state.requestId as string}</p>`,
    { ...OWN, status },
  );
}

function stateOf(connection: Connection | undefined): Html {
  if (connection === undefined) return html`not connected`;
  if (connection.broken === true) return html`<strong>ended</strong>: connect it again`;
  const since = new Date(connection.connectedAt).toISOString();
  const account = connection.account === undefined ? undefined : html` as ${connection.account}`;
  return html`connected${account} since <time datetime="${since}">${since.slice(0, 10)}</time>`;
}

function nameOf({ name, email, subject }: Identity): string {
  return name || email || subject;
}
