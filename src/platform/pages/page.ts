import { createHash } from 'node:crypto';
import type { Context } from 'koa';
import { ACCOUNT_PAGES } from '../../identity/account-pages.ts';
import { type Asset, type Assets, assetOf, createAssets } from './assets.ts';
import type { Branding } from './branding.ts';
import { Html, html } from './html.ts';
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
  /** The page loads nothing: it has its stylesheet and its icon in itself, because the request for those may be refused too. */
  readonly standalone?: boolean;
}

/** A page, ready to be sent. */
export interface RenderedPage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
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

/** Bytes of a logo that a page has in itself. */
const MAX_INLINE = 16_384;

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
  readonly #stylesheet: Asset;
  readonly #icon: Asset;

  /**
   * @param base path below which the process serves the assets
   * @param accountPages whether the pages of forward-auth are at the same origin
   */
  constructor(base: string, branding: Branding, accountPages = true) {
    this.branding = branding;
    this.#accountPages = accountPages;
    this.assets = createAssets(base, { stylesheet: STYLESHEET + branding.css, logo: branding.logo });
    this.#stylesheet = assetOf(this.assets, 'text/css') as Asset;
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
  render(page: Page, options: PageOptions = {}, origin = ''): RenderedPage {
    const { title, body, say, person } = page;
    const { standalone = false } = options;
    const own = origin === '' ? "'self'" : origin;
    const targets = [own, ...(options.formTargets ?? []).filter((target) => SOURCE.test(target))].join(' ');
    const style = standalone ? inlineStyle(this.#stylesheet) : undefined;
    const images = standalone ? 'data:' : own;
    const headers = {
      ...COMMON_HEADERS,
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Language': say.language,
      'Content-Security-Policy': `default-src 'none'; style-src ${style?.source ?? own}; img-src ${images}; form-action ${targets}; base-uri 'none'; frame-ancestors 'none'`,
      'X-Frame-Options': 'DENY',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Referrer-Policy': options.referrerPolicy ?? COMMON_HEADERS['Referrer-Policy'],
    };
    const refresh =
      options.onwards === undefined ? undefined : html`<meta http-equiv="refresh" content="0;url=${options.onwards}">`;
    const { name } = this.branding;
    const icon = standalone ? inlineImage(this.#icon) : `${origin}${this.#icon.url}`;
    const stylesheet = style?.element ?? html`<link rel="stylesheet" href="${origin}${this.#stylesheet.url}">`;
    const text = html`<!doctype html>
<html lang="${say.language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">${refresh}<title>${title} · ${name}</title>${stylesheet}${icon === undefined ? undefined : html`<link rel="icon" href="${icon}" type="${this.#icon.type}">`}</head>
<body class="${options.layout ?? 'narrow'}">${this.#bar(say, person, origin, icon)}
<main><h1>${title}</h1>
${body}
</main></body>
</html>
`.text;
    return { headers, body: text };
  }

  #bar(say: Say, person: string | undefined, origin: string, icon: string | undefined): Html {
    const image = icon === undefined ? undefined : html`<img src="${icon}" alt="">`;
    const brand = html`${image}${this.branding.name}`;
    if (!this.#accountPages) return html`<header><span class="brand">${brand}</span></header>`;
    const { home, sessions, signOut } = ACCOUNT_PAGES;
    const account =
      person === undefined
        ? undefined
        : html`<nav aria-label="${say('page.account')}"><span class="who">${person}</span> <a href="${origin}${sessions}">${say('page.sessions')}</a> <a href="${origin}${signOut}">${say('page.sign_out')}</a></nav>`;
    return html`<header><a class="brand" href="${origin}${home}">${brand}</a>${account}</header>`;
  }
}

/** The hash is all that the policy lets in (Content Security Policy 3 §6.7.3.3). */
function inlineStyle({ body }: Asset): { readonly element: Html; readonly source: string } {
  const css = String(body);
  return {
    element: new Html(`<style>${css}</style>`),
    source: `'sha256-${createHash('sha256').update(css).digest('base64')}'`,
  };
}

/** @returns undefined if it would be most of the page */
function inlineImage({ type, body }: Asset): string | undefined {
  const bytes = Buffer.from(body);
  return bytes.length > MAX_INLINE ? undefined : `data:${type};base64,${bytes.toString('base64')}`;
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
