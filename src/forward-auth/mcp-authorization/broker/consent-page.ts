import type { Context } from 'koa';
import type { Identity } from '../../../identity/identity.ts';
import { Html, html } from '../../../platform/pages/html.ts';
import type { Say } from '../../../platform/pages/texts.ts';
import { requestLine, showOnwards, showPage, visitOf } from '../../../platform/pages/visit.ts';
import type { ScopeUse } from '../../decision/operation-scopes.ts';
import { redirectKind, redirectPlace } from './redirect-uris.ts';

/** What a person is asked to consent to. */
export interface ConsentRequest {
  readonly clientName: string;
  /** The URL that names a client by its document; undefined for others. */
  readonly clientUrl: string | undefined;
  /** What the token says of the person. */
  readonly identity: Pick<Identity, 'subject' | 'name' | 'email' | 'groups'>;
  readonly redirectUri: string;
  /** What people call the server. */
  readonly server: string;
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly usesOf: (scope: string) => readonly ScopeUse[];
  /** Proves that the answer comes from this very page. */
  readonly token: string;
}

/** Asks before anything is given: whom, what for, and where it goes (MCP security best practices, confused deputy). */
export function showConsent(ctx: Context, request: ConsentRequest): void {
  const { clientName, clientUrl, identity, redirectUri, server, resource, scopes, usesOf, token } = request;
  const { say } = visitOf(ctx);
  const strong = (text: string) => html`<strong>${text}</strong>`;
  const permissions = scopes.map(
    (scope) => html`<li>${permission(say, scope, usesOf(scope), server)} <span class="quiet">(${scope})</span></li>`,
  );
  showPage(
    ctx,
    say('consent.title', { server }),
    html`<p>${say('consent.asks', { application: strong(clientName), server: strong(server) })}</p>
<h2>${say('consent.permissions')}</h2>
<ul class="list">${permissions}</ul>
<h2>${say('consent.learns')}</h2>
<ul class="list">${told(say, identity).map((text) => html`<li>${text}</li>`)}</ul>
<dl>${clientUrl === undefined ? undefined : html`<dt>${say('consent.described_at')}</dt><dd>${clientUrl}</dd>`}
<dt>${say('consent.server')}</dt><dd>${resource}</dd>
<dt>${say('consent.returns_to')}</dt><dd>${redirectPlace(redirectUri)}</dd></dl>
<section class="warnings" id="warnings" aria-labelledby="warnings-title"><h2 id="warnings-title">${say('consent.warnings')}</h2>
<ul>${warnings(say, redirectUri).map((text) => html`<li>${text}</li>`)}</ul></section>
<form method="post" aria-describedby="warnings">
<input type="hidden" name="token" value="${token}">
<p class="answers"><button name="decision" value="allow"><span aria-hidden="true">✓</span>${say('consent.allow')}</button>
<button class="deny" name="decision" value="deny"><span aria-hidden="true">✕</span>${say('consent.deny')}</button></p></form>`,
  );
}

/**
 * The answer to the form. A redirect in its place would be held to `form-action`, and so would every further one: where the client's
 * page leads on to another origin or to a program, the browser would stay here without a word (CSP3 §6.4.1.1).
 *
 * @param location of ours, from which the browser goes on to the client
 */
export function showReturn(ctx: Context, clientName: string, location: string): void {
  const { say } = visitOf(ctx);
  const text = html`${say('return.text', { application: html`<strong>${clientName}</strong>` })} ${say('return.close')}`;
  showOnwards(ctx, say('return.title'), location, text);
}

/** Before any consent: nothing that the person could allow would come to anything. */
export function showUserRefused(
  ctx: Context,
  refused: {
    readonly person: string;
    readonly server: string;
    readonly clientName: string;
    /** Where the application hears of it. */
    readonly back: string;
    /** Where somebody else can sign in. */
    readonly another: string;
  },
): void {
  const { person, server, clientName, back, another } = refused;
  const { say, site } = visitOf(ctx);
  const names = { person, server, application: clientName };
  const strong = Object.fromEntries(Object.entries(names).map(([key, text]) => [key, html`<strong>${text}</strong>`]));
  showPage(
    ctx,
    say('refused.server_title', { server }),
    html`<p role="alert">${say('user_refused.text', strong)}</p>
<p>${say('user_refused.ask', { help: site.help(say) })}</p>
<p class="answers"><a class="button" href="${another}">${say('sign_in.another')}</a>
<a class="button secondary" rel="noreferrer" href="${back}">${say('return.link', { application: clientName })}</a></p>
${requestLine(ctx)}`,
    { status: 403 },
  );
}

/** A scope in words: the operator's, or by what it is needed for. */
function permission(say: Say, scope: string, uses: readonly ScopeUse[], server: string): Html {
  const own = say.permission(scope);
  if (own !== undefined) return html`${own}`;
  if (uses.some(({ by }) => by === 'every-request')) return say('consent.every_request', { server });
  const named = uses.map((use) => (use.by === 'every-request' ? '' : operations(say, use).text));
  if (named.length === 0) return say('consent.other', { server });
  return new Html([...new Set(named)].join('; '));
}

function operations(say: Say, { by, glob }: Exclude<ScopeUse, { readonly by: 'every-request' }>): Html {
  const all = glob === '*';
  const names = { names: glob };
  switch (by) {
    case 'tool':
      return all ? say('consent.all_tools') : say('consent.tools', names);
    case 'prompt':
      return all ? say('consent.all_prompts') : say('consent.prompts', names);
    case 'resource':
      return all ? say('consent.all_resources') : say('consent.resources', names);
    case 'method':
      return say('consent.method', names);
    default:
      return by satisfies never;
  }
}

/** Every access token carries these, whatever scopes it has. */
function told(say: Say, { subject, name, email, groups }: ConsentRequest['identity']): Html[] {
  const all = [
    ['consent.name', name],
    ['consent.email', email],
    ['consent.groups', groups.join(', ')],
    ['consent.subject', subject],
  ] as const;
  return all.filter(([, value]) => value !== '').map(([key, value]) => say(key, { value }));
}

function warnings(say: Say, redirectUri: string): Html[] {
  const notVerified = say('consent.not_verified');
  const kind = redirectKind(redirectUri);
  switch (kind) {
    case 'https':
      return [notVerified];
    case 'loopback':
    case 'custom':
      return [say('consent.local_program'), notVerified];
    default:
      return kind satisfies never;
  }
}
