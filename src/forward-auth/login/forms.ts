import type { Context } from 'koa';
import { PosternError } from '../../platform/errors.ts';
import type { Session } from '../sessions/session.ts';
import type { LoginContext } from './context.ts';
import { type Html, html } from './html.ts';

/** Bytes. */
const MAX_FORM = 65_536;
const PURPOSE = 'form';

/** @throws PosternError 413, 415 */
export async function readForm(ctx: Context): Promise<URLSearchParams> {
  if (!ctx.is('application/x-www-form-urlencoded'))
    throw new PosternError('form_type', 'send application/x-www-form-urlencoded', { status: 415, expose: true });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of ctx.req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_FORM) {
      ctx.set('Connection', 'close');
      throw new PosternError('form_size', 'the form is too large', { status: 413, expose: true });
    }
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

/** A hidden field that only a page of this very session can hold. */
export function formToken({ sealing }: LoginContext, session: Session): Html {
  return html`<input type="hidden" name="token" value="${sealing.seal(PURPOSE, session.key)}">`;
}

/**
 * Whether a form came from our own page: by its token, or because the browser says so. Our pages send no `Referrer`, so
 * that older browsers write `Origin: null`; then the token alone decides.
 */
export function isOwnForm(login: LoginContext, ctx: Context, session: Session, form: URLSearchParams): boolean {
  const token = form.get('token') ?? '';
  if (token !== '') return login.sealing.open(PURPOSE, token)?.toString() === session.key;
  const site = ctx.get('sec-fetch-site');
  if (site !== '') return site === 'same-origin';
  return ctx.get('origin') === login.places.originOf(ctx.req);
}
