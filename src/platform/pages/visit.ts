import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { ACCOUNT_PAGES } from '../../identity/account-pages.ts';
import { requestId } from '../http.ts';
import { fieldsOf, isForPerson } from '../navigation.ts';
import { type Html, html } from './html.ts';
import type { PageOptions, PageSite } from './page.ts';
import type { Say, TextKey, TextValues } from './texts.ts';

/** A person's request for a page: in which language, of which site, and who it is as far as that is known. */
export interface Visit {
  readonly site: PageSite;
  readonly say: Say;
  /** What the person is called; undefined: nothing was read of them. */
  person: string | undefined;
}

/** By request, because a page may be shown from within a library that has a context of its own. */
const visits = new WeakMap<IncomingMessage, Visit>();

export function beginVisit({ req }: Pick<Context, 'req'>, site: PageSite): void {
  visits.set(req, { site, say: site.say(req.headers['accept-language'] ?? ''), person: undefined });
}

/** @throws TypeError where none was begun */
export function visitOf({ req }: Pick<Context, 'req'>): Visit {
  const visit = visits.get(req);
  if (visit === undefined) throw new TypeError('a page without a visit');
  return visit;
}

export function showPage(ctx: Context, title: Html | string, body: Html, options: PageOptions = {}): void {
  const { site, say, person } = visitOf(ctx);
  const page = site.render({ title, body, say, person }, options);
  ctx.status = options.status ?? 200;
  ctx.set(page.headers);
  ctx.body = page.body;
}

/** A page that goes on by itself: the browser takes that for a navigation of this site, whoever led it here. */
export function showOnwards(ctx: Context, title: Html, location: string, text?: Html, options: PageOptions = {}): void {
  const { say } = visitOf(ctx);
  showPage(
    ctx,
    title,
    html`<p>${text ?? say('page.moment')}</p><p><a class="button" href="${location}">${say('page.go_on')}</a></p>`,
    { ...options, onwards: location },
  );
}

/** A text with a title and an advice. */
export type ProblemName = TextKey extends infer Key ? (Key extends `${infer Name}.advice` ? Name : never) : never;

export interface Problem {
  readonly status: number;
  readonly problem: ProblemName;
  readonly values?: TextValues;
  /** What happened and what to do, instead of the text: an error's own words. */
  readonly advice?: string;
  /** Leads to a new attempt. */
  readonly again?: string;
  /** What that is called; absent: to sign in again. */
  readonly againText?: TextKey;
  /** Seconds. */
  readonly retryAfter?: number;
}

/** A page that says what to do. The request's id leads operators to the log. */
export function showProblem(ctx: Context, found: Problem, options: PageOptions = {}): void {
  const { status, problem, values, advice, again, againText = 'sign_in.again', retryAfter } = found;
  const { say, site } = visitOf(ctx);
  if (retryAfter !== undefined) ctx.set('Retry-After', String(retryAfter));
  const text = advice ?? say(`${problem}.advice`, { help: site.help(say), ...values });
  const link = again === undefined ? undefined : html`<p><a class="button" href="${again}">${say(againText)}</a></p>`;
  showPage(ctx, say(`${problem}.title`), html`<p role="alert">${text}</p>${link}${requestLine(ctx)}`, {
    ...options,
    status,
  });
}

/**
 * Says to a person that nothing is at an address.
 *
 * @returns false if a program asked: nothing is answered yet
 */
export function showNotFound(ctx: Context): boolean {
  if (!isForPerson({ method: ctx.method, headers: fieldsOf(ctx.headers) })) return false;
  ctx.state.requestId ??= requestId(ctx.req);
  const { say } = visitOf(ctx);
  const body = html`<p role="alert">${say('refused.rule')}</p>
<p class="answers"><a class="button secondary" href="${ACCOUNT_PAGES.home}">${say('refused.home')}</a></p>${requestLine(ctx)}`;
  showPage(ctx, say('refused.not_found_title'), body, { status: 404 });
  return true;
}

export function requestLine(ctx: Context): Html {
  return html`<p class="quiet">${visitOf(ctx).say('page.request', { id: ctx.state.requestId as string })}</p>`;
}

/** @param at Unix time in milliseconds @returns in the reader's way of writing, in UTC */
export function momentOf(say: Say, at: number, style: 'moment' | 'day' = 'moment'): Html {
  return html`<time datetime="${new Date(at).toISOString()}">${momentText(say, at, style)}</time>`;
}

/** The same where there is no place for an element. */
export function momentText(say: Say, at: number, style: 'moment' | 'day' = 'moment'): string {
  const format = new Intl.DateTimeFormat(say.language, {
    dateStyle: 'medium',
    ...(style === 'moment' && { timeStyle: 'short' }),
    timeZone: 'UTC',
  });
  return format.format(at) + (style === 'moment' ? ' UTC' : '');
}
