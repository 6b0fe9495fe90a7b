import type { Context } from 'koa';
import { html } from '../../../platform/pages/html.ts';
import { NotAdmitted, operatorOf } from '../access/operator.ts';
import { shownError } from '../api/problem.ts';
import { show } from './frame.ts';
import { OLD_FORM } from './own-form.ts';

const TITLES: Readonly<Record<number, string>> = {
  401: 'Sign in',
  403: 'Not for you',
  404: 'Nothing here',
  429: 'Too many attempts',
  503: 'Not right now',
};

export function showProblem(ctx: Context, error: unknown): void {
  const { status, code, detail, headers } = shownError(error);
  const signedOut = error instanceof NotAdmitted && error.code === 'signed_out';
  const again = code === OLD_FORM ? html`<p><a href="${ctx.path}">Open the page anew</a></p>` : undefined;
  const body = html`<p role="alert">${detail.charAt(0).toUpperCase() + detail.slice(1)}.</p>${again}<p class="quiet">Request <code>${ctx.state.requestId as string}</code></p>`;
  const title = signedOut
    ? 'Signed out'
    : code === OLD_FORM
      ? 'Nothing was changed'
      : (TITLES[status] ?? 'That did not work');
  show(ctx, { title, body, status, operator: signedOut ? undefined : operatorOf(ctx) });
  ctx.set({ ...headers });
}
