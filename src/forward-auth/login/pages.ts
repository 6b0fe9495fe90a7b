import type { Context } from 'koa';
import { createAssets } from '../../platform/pages/assets.ts';
import { type Html, html } from '../../platform/pages/html.ts';
import { PageFrame, type PageOptions } from '../../platform/pages/page.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { Session } from '../sessions/session.ts';

/** Everything that the pages load, by its path. */
export const ASSETS = createAssets(SIGN_IN_PATHS.assets);
const frame = new PageFrame(ASSETS);

export function showPage(ctx: Context, title: string, body: Html, options?: PageOptions): void {
  frame.show(ctx, title, body, options);
}

export interface Problem {
  readonly status: number;
  readonly title: string;
  /** What happened, and what to do. */
  readonly advice: string;
  /** Leads to a new attempt. */
  readonly again?: string;
  /** Seconds. */
  readonly retryAfter?: number;
}

/** A page that says what to do. The request's id leads whoever runs this to the log. */
export function showProblem(ctx: Context, { status, title, advice, again, retryAfter }: Problem): void {
  if (retryAfter !== undefined) ctx.set('Retry-After', String(retryAfter));
  const link = again === undefined ? undefined : html`<p><a class="button" href="${again}">Sign in again</a></p>`;
  showPage(
    ctx,
    title,
    html`<p role="alert">${advice}</p>${link}<p class="quiet">Request ${ctx.state.requestId as string}</p>`,
    {
      status,
    },
  );
}

/** A page that goes on by itself: the browser takes that for a navigation of this site, whoever led it here. */
export function showOnwards(ctx: Context, title: string, location: string): void {
  showPage(ctx, title, html`<p>One moment.</p><p><a class="button" href="${location}">Go on</a></p>`, {
    onwards: location,
  });
}

export interface Choice {
  readonly name: string;
  readonly href: string;
}

export function showChoices(ctx: Context, choices: readonly Choice[]): void {
  const items = choices.map(({ name, href }) => html`<li><a class="button" href="${href}">${name}</a></li>`);
  showPage(ctx, 'Sign in', html`<p>Choose how to sign in.</p><ul class="choices">${items}</ul>`);
}

export function showSignOut(ctx: Context, session: Session, hidden: Html, formTargets: readonly string[]): void {
  showPage(
    ctx,
    'Sign out?',
    html`<p>You are signed in as ${nameOf(session)}.</p>
<form method="post" action="${SIGN_IN_PATHS.signOut}">${hidden}<button>Sign out</button></form>`,
    { formTargets },
  );
}

export function showSignedOut(ctx: Context, back: string): void {
  showPage(
    ctx,
    'Signed out',
    html`<p>You are signed out here.</p><p><a class="button" href="${back}">Sign in again</a></p>`,
  );
}

/** @param hidden fields of every form */
export function showSessions(ctx: Context, sessions: readonly Session[], current: Session, hidden: Html): void {
  const action = SIGN_IN_PATHS.sessions;
  const entries = sessions.map(
    (session) => html`<li class="entry"><dl>
<dt>Device</dt><dd>${shortAgent(session.userAgent)}${session.key === current.key ? html` <strong>(this one)</strong>` : undefined}</dd>
<dt>Address</dt><dd>${session.address}</dd>
<dt>Signed in</dt><dd>${time(session.createdAt)}</dd>
<dt>Ends</dt><dd>${time(session.endsAt)}</dd></dl>
<form method="post" action="${action}">${hidden}<input type="hidden" name="end" value="${session.key}"><button aria-label="End the session on ${shortAgent(session.userAgent)} of ${new Date(session.createdAt).toISOString()}">End</button></form></li>`,
  );
  const others = html`<form method="post" action="${action}">${hidden}<input type="hidden" name="others" value="yes"><button>End all others</button></form>`;
  showPage(
    ctx,
    'Your sessions',
    html`<p>Signed in as ${nameOf(current)}.</p><ul>${entries}</ul>${sessions.length > 1 ? others : undefined}`,
  );
}

/** The first words of a browser's name say enough, and nothing of its length breaks the page. */
export function shortAgent(userAgent: string): string {
  const known = /(Edg|OPR|Firefox|Chrome|Version)\/(\d+)/.exec(userAgent);
  // In the first comment, behind its bracket or a semicolon (RFC 9110 §10.1.5).
  const [, comment = ''] = /\(([^)]*)/.exec(userAgent) ?? [];
  const system = /(?:^|; )(Windows|Macintosh|Linux|Android|iPhone|iPad|CrOS)/.exec(comment);
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', Version: 'Safari' };
  const name =
    known?.[1] === undefined ? userAgent.slice(0, 60) || 'unknown' : `${names[known[1]] ?? known[1]} ${known[2]}`;
  return system?.[1] === undefined ? name : `${name}, ${system[1]}`;
}

function nameOf({ identity }: Session): string {
  return identity.name || identity.email || identity.subject;
}

function time(milliseconds: number): Html {
  const text = new Date(milliseconds).toISOString();
  return html`<time datetime="${text}">${`${text.slice(0, 16).replace('T', ' ')} UTC`}</time>`;
}
