import type { Context } from 'koa';
import { displayName } from '../../identity/identity.ts';
import { type Html, html } from '../../platform/pages/html.ts';
import type { Say } from '../../platform/pages/texts.ts';
import { momentOf, momentText, showPage, visitOf } from '../../platform/pages/visit.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { Session } from '../sessions/session.ts';

export interface Choice {
  readonly name: string;
  readonly href: string;
}

export function showChoices(ctx: Context, choices: readonly Choice[]): void {
  const { say } = visitOf(ctx);
  const items = choices.map(({ name, href }) => html`<li><a class="button" href="${href}">${name}</a></li>`);
  showPage(ctx, say('sign_in.title'), html`<p>${say('sign_in.choose')}</p><ul class="choices">${items}</ul>`);
}

export function showSignOut(ctx: Context, session: Session, hidden: Html, formTargets: readonly string[]): void {
  const { say } = visitOf(ctx);
  showPage(
    ctx,
    say('sign_out.title'),
    html`<p>${say('sign_out.who', { person: displayName(session.identity) })}</p>
<form method="post" action="${SIGN_IN_PATHS.signOut}">${hidden}<button>${say('sign_out.button')}</button></form>`,
    { formTargets },
  );
}

export function showSignedOut(ctx: Context, back: string): void {
  const { say } = visitOf(ctx);
  showPage(
    ctx,
    say('signed_out.title'),
    html`<p>${say('signed_out.text')}</p><p><a class="button" href="${back}">${say('sign_in.again')}</a></p>`,
  );
}

/** @param hidden fields of every form */
export function showSessions(ctx: Context, sessions: readonly Session[], current: Session, hidden: Html): void {
  const { say } = visitOf(ctx);
  showPage(
    ctx,
    say('sessions.title'),
    html`<p>${say('page.signed_in_as', { person: displayName(current.identity) })}</p>${sessionList(say, sessions, current, hidden)}`,
  );
}

/** With a form that ends each. @param hidden fields of every form */
export function sessionList(say: Say, sessions: readonly Session[], current: Session, hidden: Html): Html {
  const action = SIGN_IN_PATHS.sessions;
  const entries = sessions.map((session) => {
    const device = session.userAgent === '' ? say('sessions.unknown_device') : shortAgent(session.userAgent);
    const label = say('sessions.end_label', { device, time: momentText(say, session.createdAt) });
    return html`<li class="entry row"><dl class="facts">
<dt>${say('sessions.device')}</dt><dd>${device}${session.key === current.key ? html` <strong>${say('sessions.this')}</strong>` : undefined}</dd>
<dt>${say('sessions.address')}</dt><dd>${session.address}</dd>
<dt>${say('sessions.since')}</dt><dd>${momentOf(say, session.createdAt)}</dd>
<dt>${say('sessions.until')}</dt><dd>${momentOf(say, session.endsAt)}</dd></dl>
<form method="post" action="${action}">${hidden}<input type="hidden" name="end" value="${session.key}"><button class="small secondary" aria-label="${label}">${say('sessions.end')}</button></form></li>`;
  });
  const others = html`<form method="post" action="${action}">${hidden}<input type="hidden" name="others" value="yes"><button class="small">${say('sessions.end_others')}</button></form>`;
  return html`<ul>${entries}</ul>${sessions.length > 1 ? others : undefined}`;
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
