import type { Context } from 'koa';
import { displayName } from '../../identity/identity.ts';
import { clientLineList } from '../../platform/pages/client-lines.ts';
import { readForm } from '../../platform/pages/form.ts';
import { type Html, html } from '../../platform/pages/html.ts';
import type { Say } from '../../platform/pages/texts.ts';
import { momentOf, showPage, visitOf } from '../../platform/pages/visit.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { Resource, Resources } from '../decision/resources.ts';
import type { Rules } from '../decision/rules.ts';
import type { Session } from '../sessions/session.ts';
import { currentSession, type LoginContext, redirect, signInAgain, signInForForm } from './context.ts';
import { formToken, isOwnForm } from './forms.ts';
import { sessionList } from './pages.ts';
import { refuseForm } from './sign-out.ts';

/** An application that a person let act in their name. */
export interface ConnectedApplication {
  /** Names it in the form that revokes it. */
  readonly handle: string;
  readonly clientName: string;
  /** URI of the server that it uses. */
  readonly resource: string;
  /** Unix time in milliseconds. */
  readonly createdAt: number;
}

export interface ConnectedApplications {
  /** @param sessions all of one person */
  list(sessions: readonly Session[]): Promise<readonly ConnectedApplication[]>;
  /** Ends it with everything that it was given; a handle of somebody else's names nothing. */
  revoke(sessions: readonly Session[], handle: string): Promise<void>;
}

export interface HomeParts {
  readonly resources: Pick<Resources, 'all'>;
  readonly rules: Pick<Rules, 'mayUse'>;
  /** What people call a server, by its name. */
  readonly titleOf: (server: string) => string;
  /** Where people connect accounts for servers; undefined: no server wants one. */
  readonly accountsUrl: string | undefined;
  /** Undefined where there is no broker. */
  readonly applications: () => ConnectedApplications | undefined;
}

/** GET /_postern/home: what a person may use, and what acts in their name. */
export async function showHome(login: LoginContext, home: HomeParts, ctx: Context): Promise<void> {
  const session = await currentSession(login, ctx);
  if (session === undefined) return redirect(ctx, 302, signInAgain(SIGN_IN_PATHS.home));
  const sessions = await sessionsOf(login, session);
  const applications = await home.applications()?.list(sessions);
  const { say, site } = visitOf(ctx);
  const hidden = formToken(login, session);
  const servers = home.resources.all().filter((one) => one.isMcp && home.rules.mayUse(one, session.identity));
  const body = html`<p>${say('page.signed_in_as', { person: displayName(session.identity) })}</p>
<h2>${say('home.servers')}</h2>
${servers.length === 0 ? html`<p>${say('home.no_servers', { help: site.help(say) })}</p>` : html`<ul>${servers.map((server) => serverEntry(say, home, server))}</ul>`}
${applications === undefined ? undefined : applicationsPart(say, home, applications, hidden)}
${home.accountsUrl === undefined ? undefined : html`<h2>${say('home.accounts')}</h2><p>${say('home.accounts_text')} <a href="${home.accountsUrl}">${say('home.accounts_link')}</a></p>`}
<h2>${say('sessions.title')}</h2>
${sessionList(say, sessions, session, hidden)}`;
  showPage(ctx, say('home.title'), body, { layout: 'wide' });
}

/** POST /_postern/home: revokes what an application was given. */
export async function revokeApplication(login: LoginContext, home: HomeParts, ctx: Context): Promise<void> {
  const form = await readForm(ctx);
  const session = await currentSession(login, ctx);
  if (session === undefined) return redirect(ctx, 303, signInForForm(ctx));
  if (!isOwnForm(login, ctx, session, form)) return refuseForm(ctx);
  await home.applications()?.revoke(await sessionsOf(login, session), form.get('revoke') ?? '');
  redirect(ctx, 303, SIGN_IN_PATHS.home);
}

function sessionsOf({ sessions }: LoginContext, { identity }: Session): Promise<readonly Session[]> {
  return sessions.ofUser(identity.issuer, identity.subject);
}

function serverEntry(say: Say, home: HomeParts, resource: Resource): Html {
  const title = titleOf(say, home, resource);
  const name = resource.server ?? 'all-servers';
  return html`<li class="entry" id="${name}"><h3>${title}</h3><code>${resource.uri}</code>
<details><summary>${say('home.add', { server: title })}</summary>${clientLineList(name, resource.uri)}</details></li>`;
}

function titleOf(say: Say, { titleOf }: HomeParts, { server }: Resource): Html {
  return server === undefined ? say('home.all_servers') : html`${titleOf(server)}`;
}

function applicationsPart(
  say: Say,
  home: HomeParts,
  applications: readonly ConnectedApplication[],
  hidden: Html,
): Html {
  const entries = applications.map(({ handle, clientName, resource, createdAt }) => {
    const found = home.resources.all().find(({ uri }) => uri === resource);
    const server = found === undefined ? html`${resource}` : titleOf(say, home, found);
    const label = say('home.revoke_label', { application: clientName, server });
    return html`<li class="entry row"><div><strong>${clientName}</strong><br><span class="quiet">${say('home.application_uses', { server, time: momentOf(say, createdAt) })}</span></div>
<form method="post" action="${SIGN_IN_PATHS.home}">${hidden}<input type="hidden" name="revoke" value="${handle}"><button class="small secondary" aria-label="${label}">${say('home.revoke')}</button></form></li>`;
  });
  const none = html`<p>${say('home.no_applications')}</p>`;
  return html`<h2>${say('home.applications')}</h2>${entries.length === 0 ? none : html`<ul>${entries}</ul>`}`;
}
