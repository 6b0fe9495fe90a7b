import type { Context } from 'koa';
import type { Asset, Assets } from './assets.ts';
import { type Html, html } from './html.ts';

export interface PageOptions {
  readonly status?: number;
  /** Origins to which a form's answer may redirect: browsers hold that redirect to `form-action` too. */
  readonly formTargets?: readonly string[];
  /**
   * Absent: `no-referrer`. With `same-origin` a form of the page comes with the page's `Origin` instead of `null`
   * (Fetch, "append a request Origin header").
   */
  readonly referrerPolicy?: 'no-referrer' | 'same-origin';
  /** Where the browser goes on to at once. Unlike a redirect that answers a form, `form-action` does not bind it. */
  readonly onwards?: string;
}

/**
 * A scheme, or an origin, as a source of Content Security Policy 3 §2.3.1. A host may hold `;` or `,` in a URL, which would
 * end the directive, or the policy.
 */
const SOURCE = /^[a-z][a-z0-9+.-]*:(?:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?:\d+|\*))?)?$/i;

/** Of everything that says something about a person. */
export const COMMON_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
} as const;

/** The one frame of all pages: no script, nothing from elsewhere, in nobody's frame. */
export class PageFrame {
  readonly #stylesheet: string;
  readonly #icon: string;

  constructor(assets: Assets) {
    const [stylesheet, icon] = ['text/css', 'image/svg+xml'].map(
      (type) => [...assets.values()].find((asset) => asset.type === type)?.url ?? '',
    );
    this.#stylesheet = stylesheet as string;
    this.#icon = icon as string;
  }

  show(ctx: Context, title: string, body: Html, options: PageOptions = {}): void {
    const targets = ["'self'", ...(options.formTargets ?? []).filter((target) => SOURCE.test(target))].join(' ');
    ctx.status = options.status ?? 200;
    ctx.set({
      ...COMMON_HEADERS,
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': `default-src 'none'; style-src 'self'; img-src 'self'; form-action ${targets}; base-uri 'none'; frame-ancestors 'none'`,
      'X-Frame-Options': 'DENY',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Referrer-Policy': options.referrerPolicy ?? COMMON_HEADERS['Referrer-Policy'],
    });
    const refresh =
      options.onwards === undefined ? undefined : html`<meta http-equiv="refresh" content="0;url=${options.onwards}">`;
    ctx.body = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">${refresh}<title>${title}</title><link rel="stylesheet" href="${this.#stylesheet}"><link rel="icon" href="${this.#icon}" type="image/svg+xml"></head>
<body><main><h1>${title}</h1>
${body}
</main></body>
</html>
`.text;
  }
}

export function sendAsset(ctx: Context, { type, body, etag }: Asset): void {
  ctx.set({ ETag: etag, 'Cache-Control': 'public, max-age=86400', 'X-Content-Type-Options': 'nosniff' });
  ctx.type = type;
  ctx.status = 200;
  if (ctx.fresh) ctx.status = 304;
  else ctx.body = body;
}
