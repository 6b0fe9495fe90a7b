import type { Context } from 'koa';
import { type Html, html } from '../../../platform/pages/html.ts';
import { showPage } from '../../login/pages.ts';
import { redirectKind, redirectPlace, redirectSource } from './redirect-uris.ts';

/** What a person is asked to consent to. */
export interface ConsentQuestion {
  readonly clientName: string;
  /** The URL that names a client by its document; undefined for others. */
  readonly clientUrl: string | undefined;
  readonly person: string;
  readonly redirectUri: string;
  readonly resource: string;
  readonly scopes: readonly string[];
  /** Proves that the answer comes from this very page. */
  readonly token: string;
}

/** Asks before anything is given: whom, what for, and where it goes (MCP security best practices, confused deputy). */
export function showConsent(ctx: Context, question: ConsentQuestion): void {
  const { clientName, clientUrl, person, redirectUri, resource, scopes, token } = question;
  showPage(
    ctx,
    'Give access?',
    html`<p><strong>${clientName}</strong> asks to act for you, ${person}.</p>
<dl>${clientUrl === undefined ? undefined : html`<dt>Described at</dt><dd>${clientUrl}</dd>`}
<dt>At the server</dt><dd>${resource}</dd>
<dt>May do</dt><dd>${scopes.join(', ')}</dd>
<dt>Sends you on to</dt><dd>${redirectPlace(redirectUri)}</dd></dl>
${warning(redirectUri)}
<form method="post">
<input type="hidden" name="token" value="${token}">
<p><button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button></p></form>
<p class="quiet">Nobody has checked the name. Allow this only if you have just started it yourself.</p>`,
    { formTargets: [redirectSource(redirectUri)] },
  );
}

function warning(redirectUri: string): Html | undefined {
  switch (redirectKind(redirectUri)) {
    case 'https':
      return undefined;
    case 'loopback':
    case 'custom':
      return html`<p role="note"><strong>Careful:</strong> this goes to a program on your own computer. Any program there could
have asked in this name: deny it if you did not start it.</p>`;
  }
}
