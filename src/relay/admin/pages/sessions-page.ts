import type Koa from 'koa';
import type { z } from 'zod';
import { userOf } from '../../../identity/user.ts';
import { PosternError } from '../../../platform/errors.ts';
import { type Html, html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { ADMIN } from '../paths.ts';
import { PAGES, show } from './frame.ts';
import type { OwnForms } from './own-form.ts';
import { input, moment, table, who, whoText } from './parts.ts';

type Session = z.output<Catalog['listSessions']['description']['output']>['sessions'][number];
interface Asked {
  /** By any name; empty: all users. */
  readonly user: string;
  readonly after: string;
}

/** Where the forms of this page go. */
export const END_SESSION = `${ADMIN}/sessions/end`;

export async function sessionsPage(
  ctx: Koa.Context,
  catalog: Catalog,
  forms: OwnForms,
  reachable: boolean,
): Promise<void> {
  const text = (name: string) => (typeof ctx.query[name] === 'string' ? ctx.query[name] : '');
  const [issuer, subject] = [text('issuer'), text('subject')];
  const user = subject === '' ? text('user') : userOf({ issuer, subject });
  await showSessions(ctx, catalog, { forms, reachable, asked: { user, after: text('after') } });
}

/** Ends one session, or all of the person. */
export async function endSession(ctx: Koa.Context, catalog: Catalog, forms: OwnForms): Promise<void> {
  const form = await forms.read(ctx);
  const operator = operatorOf(ctx);
  const asked = { user: form.get('asked') ?? '', after: '' };
  const key = form.get('key');
  const { ended } =
    key === null
      ? await catalog.endSessions.run({ user: form.get('user') ?? '' }, operator)
      : await catalog.endSession.run({ key }, operator);
  await showSessions(ctx, catalog, { forms, reachable: true, asked, ended });
}

async function showSessions(
  ctx: Koa.Context,
  catalog: Catalog,
  { forms, reachable, asked, ended }: { forms: OwnForms; reachable: boolean; asked: Asked; ended?: number },
): Promise<void> {
  const operator = operatorOf(ctx);
  const lead =
    'Browser sessions at forward-auth, by person. A person without one must sign in again; tokens of programs are not sessions.';
  const shown = { title: 'Sessions', page: 'sessions', lead, operator } as const;
  if (!reachable)
    return show(ctx, {
      ...shown,
      body: html`<p class="note warn">Sessions are forward-auth’s, and this relay has not been told how to ask it: set <code>relay.admin.forwardAuth</code> to the address of <code>auth.internalListen</code> and to <code>auth.operatorToken</code>. Until then <code>postern sessions</code> lists and ends them.</p>`,
    });
  const form = html`<form class="filters" method="get" action="${PAGES.sessions.path}">${input('User', 'user', asked.user, 'name, e-mail or user; empty: all')}<button>Show</button></form>`;
  const done = ended === undefined ? undefined : html`<p class="note good" role="status">Ended: ${ended}.</p>`;
  const found = await listOf(ctx, catalog, asked, forms.token(ctx));
  show(ctx, { ...shown, body: html`${done}${form}${found}` });
}

async function listOf(ctx: Koa.Context, catalog: Catalog, asked: Asked, token: Html): Promise<Html> {
  try {
    const { user, after } = asked;
    const wanted = { ...(user === '' ? {} : { user }), ...(after === '' ? {} : { after }) };
    const { sessions, next } = await catalog.listSessions.run(wanted, operatorOf(ctx));
    const more = new URLSearchParams({ ...wanted, after: next ?? '' });
    return html`${sessionTable(sessions, asked, token)}${next === undefined ? undefined : html`<p><a href="${PAGES.sessions.path}?${more.toString()}">More</a></p>`}`;
  } catch (error) {
    if (!(error instanceof PosternError) || !error.expose) throw error;
    return html`<p class="note bad" role="alert">No sessions can be shown: ${error.message}.</p>`;
  }
}

function sessionTable(sessions: readonly Session[], asked: Asked, token: Html): Html {
  const hidden = html`${token}<input type="hidden" name="asked" value="${asked.user}">`;
  const list = table(
    asked.user === '' ? 'Sessions of all users, those first that end soonest' : `Sessions of ${asked.user}`,
    [
      { head: 'User', kind: 'name', cell: who },
      { head: 'Browser', kind: 'long', cell: ({ userAgent }) => userAgent || 'not told' },
      { head: 'Address', cell: ({ address }) => address },
      { head: 'Provider', cell: ({ provider }) => provider },
      { head: 'Since', cell: ({ created }) => moment(created) },
      { head: 'Ends', cell: ({ ends }) => moment(ends) },
      {
        head: 'End it',
        cell: ({ key }) =>
          html`<form class="inline" method="post" action="${END_SESSION}">${hidden}<input type="hidden" name="key" value="${key}"><button class="end">End</button></form>`,
      },
    ],
    sessions,
    { empty: 'There is no such session. Users are found by whole user, subject, username, e-mail address or name.' },
  );
  if (asked.user === '') return list;
  // Several users may be called so: all sessions of each are ended apart.
  const users = new Map(sessions.map((session) => [session.user, session]));
  const all = [...users.values()].map(
    (one) =>
      html`<form method="post" action="${END_SESSION}">${hidden}<input type="hidden" name="user" value="${one.user}"><p><button class="end">End all of ${whoText(one)}</button>${users.size < 2 ? undefined : html` <span class="user">${one.user}</span>`}</p></form>`,
  );
  const several = users.size < 2 ? undefined : html`<p class="note warn">${users.size} users are called so.</p>`;
  return html`${several}${list}${all}`;
}
