import type Koa from 'koa';
import type { z } from 'zod';
import { PosternError } from '../../../platform/errors.ts';
import { type Html, html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { ADMIN } from '../paths.ts';
import { PAGES, show } from './frame.ts';
import type { OwnForms } from './own-form.ts';
import { input, table } from './parts.ts';

type Session = z.output<Catalog['listSessions']['description']['output']>['sessions'][number];
interface Asked {
  readonly issuer: string;
  readonly subject: string;
}

/** Where the forms of this page go. */
export const END_SESSION = `${ADMIN}/sessions/end`;

export async function sessionsPage(
  ctx: Koa.Context,
  catalog: Catalog,
  forms: OwnForms,
  reachable: boolean,
): Promise<void> {
  const [issuer, subject] = [ctx.query.issuer, ctx.query.subject].map((value) =>
    typeof value === 'string' ? value : '',
  );
  await showSessions(ctx, catalog, { forms, reachable, asked: { issuer: issuer ?? '', subject: subject ?? '' } });
}

/** Ends one session, or all of the person. */
export async function endSession(ctx: Koa.Context, catalog: Catalog, forms: OwnForms): Promise<void> {
  const form = await forms.read(ctx);
  const operator = operatorOf(ctx);
  const asked = { issuer: form.get('issuer') ?? '', subject: form.get('subject') ?? '' };
  const key = form.get('key');
  const { ended } =
    key === null ? await catalog.endSessions.run(asked, operator) : await catalog.endSession.run({ key }, operator);
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
  const form = html`<form class="filters" method="get" action="${PAGES.sessions.path}">${input('Issuer', 'issuer', asked.issuer, 'https://idp.example.com')}${input('User', 'subject', asked.subject, 'subject')}<button>Show</button></form>`;
  const done = ended === undefined ? undefined : html`<p class="note good" role="status">Ended: ${ended}.</p>`;
  const complete = asked.issuer !== '' && asked.subject !== '';
  const found = complete ? await listOf(ctx, catalog, asked, forms.token(ctx)) : undefined;
  show(ctx, { ...shown, body: html`${done}${form}${found}` });
}

async function listOf(ctx: Koa.Context, catalog: Catalog, asked: Asked, token: Html): Promise<Html> {
  try {
    const { sessions } = await catalog.listSessions.run(asked, operatorOf(ctx));
    return sessionTable(sessions, asked, token);
  } catch (error) {
    if (!(error instanceof PosternError) || !error.expose) throw error;
    return html`<p class="note bad" role="alert">No sessions can be shown: ${error.message}.</p>`;
  }
}

function sessionTable(sessions: readonly Session[], asked: Asked, token: Html): Html {
  const person = html`${token}<input type="hidden" name="issuer" value="${asked.issuer}"><input type="hidden" name="subject" value="${asked.subject}">`;
  const list = table(
    `Sessions of ${asked.subject}`,
    [
      { head: 'Browser', kind: 'name', cell: ({ userAgent }) => userAgent || 'not told' },
      { head: 'Address', cell: ({ address }) => address },
      { head: 'Provider', cell: ({ provider }) => provider },
      { head: 'Since', cell: ({ created }) => created.slice(0, 16).replace('T', ' ') },
      { head: 'Ends', cell: ({ ends }) => ends.slice(0, 16).replace('T', ' ') },
      {
        head: 'End it',
        cell: ({ key }) =>
          html`<form class="inline" method="post" action="${END_SESSION}">${person}<input type="hidden" name="key" value="${key}"><button class="end">End</button></form>`,
      },
    ],
    sessions,
    { empty: 'This person has no session.' },
  );
  const all =
    sessions.length < 2
      ? undefined
      : html`<form method="post" action="${END_SESSION}">${person}<p><button class="end">End all ${sessions.length}</button></p></form>`;
  return html`${list}${all}`;
}
