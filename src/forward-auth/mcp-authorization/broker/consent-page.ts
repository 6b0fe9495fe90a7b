import type { Context } from 'koa';
import type { Identity } from '../../../identity/identity.ts';
import { type Html, html } from '../../../platform/pages/html.ts';
import type { ScopeUse } from '../../decision/operation-scopes.ts';
import { showPage } from '../../login/pages.ts';
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
export function showConsent(ctx: Context, question: ConsentRequest): void {
  const { clientName, clientUrl, identity, redirectUri, server, resource, scopes, usesOf, token } = question;
  showPage(
    ctx,
    'Give access?',
    html`<p><strong>${clientName}</strong> asks to use <strong>${server}</strong> in your name.</p>
<h2>Permissions</h2>
<ul class="list">${scopes.map((scope) => html`<li>${permission(usesOf(scope), server)} <span class="quiet">(${scope})</span></li>`)}</ul>
<h2>What it learns about you</h2>
<ul class="list">${told(identity).map(([what, value]) => html`<li>${what}: ${value}</li>`)}</ul>
<dl>${clientUrl === undefined ? undefined : html`<dt>Described at</dt><dd>${clientUrl}</dd>`}
<dt>Server</dt><dd>${resource}</dd>
<dt>Returns to</dt><dd>${redirectPlace(redirectUri)}</dd></dl>
${warning(redirectUri)}
<form method="post">
<input type="hidden" name="token" value="${token}">
<p class="answers"><button name="decision" value="allow">Allow</button>
<button class="secondary" name="decision" value="deny">Deny</button></p></form>
<p class="quiet">The name is not verified. Allow this only if you have just started it yourself.</p>`,
  );
}

/**
 * The answer to the form. A redirect in its place would be held to `form-action`, and so would every further one: where the client's
 * page leads on to another origin or to a program, the browser would stay here without a word (CSP3 §6.4.1.1).
 *
 * @param location of ours, from which the browser goes on to the client
 */
export function showReturn(ctx: Context, clientName: string, location: string): void {
  showPage(
    ctx,
    'Back to your application',
    html`<p>You are being sent back to <strong>${clientName}</strong>.</p>
<p><a class="button" href="${location}">Go on</a></p>
<p class="quiet">When it has opened, you can close this window.</p>`,
    { onwards: location },
  );
}

/** Before any consent: nothing that the person could allow would come to anything. */
export function showUserRefused(
  ctx: Context,
  refused: {
    readonly person: string;
    readonly server: string;
    readonly clientName: string;
    /** Whom to ask. */
    readonly help: string;
    /** Where the application hears of it. */
    readonly back: string;
    /** Where somebody else can sign in. */
    readonly another: string;
  },
): void {
  const { person, server, clientName, help, back, another } = refused;
  showPage(
    ctx,
    `You may not use ${server}`,
    html`<p role="alert">You are signed in as <strong>${person}</strong>, who may not use <strong>${server}</strong> here. Nothing was given to <strong>${clientName}</strong>.</p>
<p>To get access, ask ${help}.</p>
<p class="answers"><a class="button" href="${another}">Sign in as another</a>
<a class="button secondary" rel="noreferrer" href="${back}">Return to ${clientName}</a></p>
<p class="quiet">Request ${ctx.state.requestId as string}</p>`,
    { status: 403 },
  );
}

/** A scope in words, by what it is needed for. */
function permission(uses: readonly ScopeUse[], server: string): string {
  if (uses.some(({ by }) => by === 'every-request')) return `Use ${server} as you`;
  const named = uses.map((use) => (use.by === 'every-request' ? '' : operations(use)));
  return named.length === 0 ? `A permission of ${server}` : [...new Set(named)].join('; ');
}

function operations({ by, glob }: Exclude<ScopeUse, { readonly by: 'every-request' }>): string {
  switch (by) {
    case 'tool':
      return glob === '*' ? 'Call all of its tools' : `Call its tools named ${glob}`;
    case 'prompt':
      return glob === '*' ? 'Use all of its prompts' : `Use its prompts named ${glob}`;
    case 'resource':
      return glob === '*' ? 'Read all of its resources' : `Read its resources at ${glob}`;
    case 'method':
      return `Send it requests of the kind ${glob}`;
    default:
      by satisfies never;
      return '';
  }
}

/** Every access token carries these, whatever scopes it has. */
function told({ subject, name, email, groups }: ConsentRequest['identity']): ReadonlyArray<readonly [string, string]> {
  const all: ReadonlyArray<readonly [string, string]> = [
    ['Your name', name],
    ['Your e-mail address', email],
    ['Your groups', groups.join(', ')],
    ['Your user id', subject],
  ];
  return all.filter(([, value]) => value !== '');
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
