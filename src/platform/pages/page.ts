import type { Context } from 'koa';
import { ACCOUNT_PAGES } from '../../identity/account-pages.ts';
import { type Asset, type Assets, assetOf, createAssets } from './assets.ts';
import type { Branding } from './branding.ts';
import { type Html, html } from './html.ts';
import { STYLESHEET } from './stylesheet.ts';
import type { Say } from './texts.ts';

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
  /** `wide` for pages of several parts. */
  readonly layout?: 'narrow' | 'wide';
}

/** What a page says, and to whom. */
export interface Page {
  readonly title: Html | string;
  readonly body: Html;
  readonly say: Say;
  /** Who is signed in; undefined: unknown. */
  readonly person: string | undefined;
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

/** The one frame of all pages for people: no script, nothing from elsewhere, in nobody's frame. */
export class PageSite {
  readonly assets: Assets;
  readonly branding: Branding;
  readonly #accountPages: boolean;
  readonly #stylesheet: string;
  readonly #icon: Asset;

  /**
   * @param base path below which the process serves the assets
   * @param accountPages whether the pages of forward-auth are at the same origin
   */
  constructor(base: string, branding: Branding, accountPages = true) {
    this.branding = branding;
    this.#accountPages = accountPages;
    this.assets = createAssets(base, { stylesheet: STYLESHEET + branding.css, logo: branding.logo });
    this.#stylesheet = assetOf(this.assets, 'text/css')?.url as string;
    this.#icon = assetOf(this.assets, 'image/') as Asset;
  }

  /** The texts for a reader. @param accepted `Accept-Language` */
  say(accepted: string): Say {
    return this.branding.texts.for(accepted);
  }

  /** Whom to ask. */
  help(say: Say): Html {
    const { help } = this.branding;
    if (help === undefined) return say('help.default');
    if (/^https?:\/\/\S+$/i.test(help)) return html`<a href="${help}">${help}</a>`;
    if (/^[^\s@<>]+@[^\s@<>]+$/.test(help)) return html`<a href="mailto:${help}">${help}</a>`;
    return html`${help}`;
  }

  /** @param origin of the pages, where the page is shown at another one */
  render(page: Page, options: PageOptions = {}, origin = ''): { headers: Record<string, string>; body: string } {
    const { title, body, say, person } = page;
    const own = origin === '' ? "'self'" : origin;
    const targets = [own, ...(options.formTargets ?? []).filter((target) => SOURCE.test(target))].join(' ');
    const headers = {
      ...COMMON_HEADERS,
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Language': say.language,
      'Content-Security-Policy': `default-src 'none'; style-src ${own}; img-src ${own}; form-action ${targets}; base-uri 'none'; frame-ancestors 'none'`,
      'X-Frame-Options': 'DENY',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Referrer-Policy': options.referrerPolicy ?? COMMON_HEADERS['Referrer-Policy'],
    };
    const refresh =
      options.onwards === undefined ? undefined : html`<meta http-equiv="refresh" content="0;url=${options.onwards}">`;
    const { name } = this.branding;
    const text = html`<!doctype html>
<html lang="${say.language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">${refresh}<title>${title} · ${name}</title><link rel="stylesheet" href="${origin}${this.#stylesheet}"><link rel="icon" href="${origin}${this.#icon.url}" type="${this.#icon.type}"></head>
<body class="${options.layout ?? 'narrow'}">${this.#bar(say, person, origin)}
<main><h1>${title}</h1>
${body}
</main></body>
</html>
`.text;
    return { headers, body: text };
  }

  #bar(say: Say, person: string | undefined, origin: string): Html {
    const brand = html`<img src="${origin}${this.#icon.url}" alt="">${this.branding.name}`;
    if (!this.#accountPages) return html`<header><span class="brand">${brand}</span></header>`;
    const { home, sessions, signOut } = ACCOUNT_PAGES;
    const account =
      person === undefined
        ? undefined
        : html`<nav aria-label="${say('page.account')}"><span class="who">${person}</span> <a href="${origin}${sessions}">${say('page.sessions')}</a> <a href="${origin}${signOut}">${say('page.sign_out')}</a></nav>`;
    return html`<header><a class="brand" href="${origin}${home}">${brand}</a>${account}</header>`;
  }
}

export function sendAsset(ctx: Context, { type, body, etag }: Asset): void {
  ctx.set({
    ETag: etag,
    'Cache-Control': 'public, max-age=86400',
    'X-Content-Type-Options': 'nosniff',
    // An image that is opened by itself runs nothing.
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  });
  ctx.type = type;
  ctx.status = 200;
  if (ctx.fresh) ctx.status = 304;
  else ctx.body = body;
}
