import type Koa from 'koa';
import { PosternError } from '../../../platform/errors.ts';
import { readForm } from '../../../platform/pages/form.ts';
import { type Html, html } from '../../../platform/pages/html.ts';
import type { FormTokens } from '../access/form-token.ts';
import { operatorOf } from '../access/operator.ts';
import type { SameOrigin } from '../access/same-origin.ts';

/**
 * Forms of our pages, and nobody else's: browsers send the operator's password with whatever another site makes them send, so
 * that each form must show its origin and a token that only our pages know.
 */
export class OwnForms {
  readonly #origin: SameOrigin;
  readonly #tokens: FormTokens;

  constructor(origin: SameOrigin, tokens: FormTokens) {
    this.#origin = origin;
    this.#tokens = tokens;
  }

  /** What every form of a page holds. */
  token(ctx: Koa.Context): Html {
    return html`<input type="hidden" name="token" value="${this.#tokens.make(operatorOf(ctx))}">`;
  }

  /** @throws PosternError 403 where the form is not one of ours, 413, 415 */
  async read(ctx: Koa.Context): Promise<URLSearchParams> {
    if (!this.#origin.isOwnForm(ctx.req)) throw strange();
    const form = await readForm(ctx);
    if (!this.#tokens.isGood(form.get('token') ?? '', operatorOf(ctx))) throw strange();
    return form;
  }
}

/** Code of the error. */
export const OLD_FORM = 'form';

function strange(): PosternError {
  return new PosternError(
    OLD_FORM,
    'this form is too old, or it is not from here: nothing was changed; open the page anew',
    {
      status: 403,
      expose: true,
    },
  );
}

/** To a page of ours, so that loading it again sends nothing again. */
export function seeOther(ctx: Koa.Context, path: string): void {
  ctx.redirect(path);
  ctx.status = 303;
  ctx.set({ 'Cache-Control': 'no-store', 'Referrer-Policy': 'same-origin' });
  ctx.body = null;
  ctx.status = 303;
}
