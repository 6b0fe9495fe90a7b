import type { Context } from 'koa';
import { displayName } from '../../../identity/user.ts';
import { type Html, html } from '../../../platform/pages/html.ts';
import { COMMON_HEADERS } from '../../../platform/pages/page.ts';
import { version } from '../../../platform/version.ts';
import type { Operator } from '../access/operator.ts';
import { ADMIN } from '../paths.ts';
import { ASSETS } from './assets.ts';

/** In the order of the navigation. */
export const PAGES = {
  overview: { path: ADMIN, name: 'Overview' },
  activity: { path: `${ADMIN}/activity`, name: 'Activity' },
  denials: { path: `${ADMIN}/denials`, name: 'Denials' },
  streams: { path: `${ADMIN}/streams`, name: 'Streams' },
  sessions: { path: `${ADMIN}/sessions`, name: 'Sessions' },
  policy: { path: `${ADMIN}/policy`, name: 'Policy' },
  tools: { path: `${ADMIN}/tools`, name: 'Tools' },
  limits: { path: `${ADMIN}/limits`, name: 'Limits' },
  security: { path: `${ADMIN}/security`, name: 'Security' },
} as const;

export type PageName = keyof typeof PAGES;

export interface Shown {
  readonly title: string;
  /** Absent: none of them. */
  readonly page?: PageName;
  readonly lead?: string;
  readonly body: Html;
  readonly status?: number;
  /** Somebody is signed in. */
  readonly operator?: Operator | undefined;
  readonly script?: boolean;
}

const [STYLE, ICON, SCRIPT] = ['text/css', 'image/svg+xml', 'text/javascript'].map(
  (type) => [...ASSETS.values()].find((asset) => asset.type === type)?.url ?? '',
) as [string, string, string];

/** No script but our own, nothing from elsewhere, in nobody's frame. */
const POLICY =
  "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

export function show(ctx: Context, { title, page, lead, body, status = 200, operator, script }: Shown): void {
  ctx.status = status;
  ctx.set({
    ...COMMON_HEADERS,
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': POLICY,
    'X-Frame-Options': 'DENY',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    // Forms of the page must come with its `Origin`.
    'Referrer-Policy': 'same-origin',
  });
  const link = ([name, { path, name: text }]: [string, { path: string; name: string }]) =>
    html`<li>${name === page ? html`<a href="${path}" aria-current="page">${text}</a>` : html`<a href="${path}">${text}</a>`}</li>`;
  const bar =
    operator === undefined
      ? undefined
      : html`<span class="who">${operator.way === 'local' ? 'Not signed in: this machine only' : html`Signed in as ${displayName(operator.person)} · <a href="${ADMIN}/sign-out">Sign out</a>`}</span>
<nav aria-label="Admin"><ul>${Object.entries(PAGES).map(link)}</ul></nav>`;
  ctx.body = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title} · Postern</title><link rel="stylesheet" href="${STYLE}"><link rel="icon" href="${ICON}" type="image/svg+xml">${script === true ? html`<script src="${SCRIPT}" defer></script>` : undefined}</head>
<body><a class="skip" href="#main">Skip to content</a>
<header class="bar"><a class="brand" href="${ADMIN}"><img src="${ICON}" alt="">Postern</a>${bar}</header>
<main id="main"><h1>${title}</h1>${lead === undefined ? undefined : html`<p class="lead">${lead}</p>`}
${body}
</main>
<footer>Postern ${version()}</footer></body>
</html>
`.text;
}
