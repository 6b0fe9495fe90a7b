import type { Context } from 'koa';
import { displayName, type Identity } from '../../identity/identity.ts';
import { type Html, html } from '../../platform/pages/html.ts';
import type { PageOptions } from '../../platform/pages/page.ts';
import type { Say } from '../../platform/pages/texts.ts';
import * as pages from '../../platform/pages/visit.ts';
import type { Connection } from './connection.ts';
import { CONNECT, serverPath } from './paths.ts';

/** Our forms must come with their `Origin`, which the relay checks on every request. */
const OWN: PageOptions = { referrerPolicy: 'same-origin' };

/** One MCP server, as the pages name it. */
export interface Listed {
  readonly server: string;
  /** The provider's name. */
  readonly name: string;
  readonly connection: Connection | undefined;
}

export function showList(ctx: Context, identity: Identity, listed: readonly Listed[]): void {
  const { say } = pages.visitOf(ctx);
  const items = listed.map(
    ({
      server,
      name,
      connection,
    }) => html`<li class="entry"><dl><dt>${name}</dt><dd>${stateOf(say, connection)}</dd></dl>
<a href="${serverPath(server)}">${say('accounts.manage', { account: name })}</a></li>`,
  );
  pages.showPage(
    ctx,
    say('accounts.title'),
    html`<p>${say('page.signed_in_as', { person: displayName(identity) })}. ${say('accounts.text')}</p><ul>${items}</ul>`,
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
  const { say } = pages.visitOf(ctx);
  const form = (action: 'connect' | 'disconnect', label: Html) =>
    html`<form method="post" action="${serverPath(server)}"><input type="hidden" name="token" value="${token}"><p><button name="action" value="${action}">${label}</button></p></form>`;
  const usable = connection !== undefined && connection.broken !== true;
  const forms: Html[] = [
    ...(usable ? [] : [form('connect', say(connection === undefined ? 'accounts.connect' : 'accounts.connect_again'))]),
    ...(connection === undefined ? [] : [form('disconnect', say('accounts.disconnect'))]),
  ];
  pages.showPage(
    ctx,
    say(usable ? 'accounts.connected_title' : 'accounts.connect_title', { account: name }),
    html`<dl class="facts"><dt>${say('accounts.you')}</dt><dd>${displayName(identity)}</dd><dt>${say('accounts.server')}</dt><dd>${server}</dd><dt>${say('accounts.connection')}</dt><dd>${stateOf(say, connection)}</dd></dl>
<p>${usable ? say('accounts.connected_text') : say('accounts.connect_text', { account: name })}</p>
${forms}<p><a href="${CONNECT}">${say('accounts.all')}</a></p>`,
    OWN,
  );
}

/** On the way to the provider. */
export function showOnwards(ctx: Context, name: string, url: URL): void {
  const { say } = pages.visitOf(ctx);
  const title = say('accounts.onwards_title', { account: name });
  pages.showOnwards(ctx, title, url.href, say('accounts.onwards', { host: url.host }), OWN);
}

export function showProblem(ctx: Context, problem: Omit<pages.Problem, 'againText' | 'retryAfter'>): void {
  pages.showProblem(
    ctx,
    { ...problem, againText: 'page.try_again', ...(problem.status === 503 && { retryAfter: 5 }) },
    OWN,
  );
}

function stateOf(say: Say, connection: Connection | undefined): Html {
  if (connection === undefined) return say('accounts.none');
  if (connection.broken === true) return html`<strong>${say('accounts.ended')}</strong>: ${say('accounts.ended_then')}`;
  const time = pages.momentOf(say, connection.connectedAt, 'day');
  return connection.account === undefined
    ? say('accounts.since', { time })
    : say('accounts.since_as', { name: connection.account, time });
}
