import { displayName, type Identity } from '../../identity/identity.ts';
import { type Html, html } from './html.ts';
import type { PageSite } from './page.ts';
import type { Say } from './texts.ts';

/** What a page says of a refusal, whichever process refused. */
export interface RefusalFacts {
  /** What happened, or what is missing. */
  readonly missing: Html;
  /** Who was refused; undefined: unknown. */
  readonly identity: Identity | undefined;
  /** Whether one's own groups matter. */
  readonly showGroups?: boolean;
  /** As it was asked for; undefined: it could not be read. */
  readonly address: string | undefined;
  /** Whether asking for access helps. */
  readonly asks: boolean;
  /** Addresses to go on to; that of the sign-in page has a query. */
  readonly waysOn: { readonly signIn: string | undefined; readonly home: string } | undefined;
  readonly requestId: string;
  /** What follows the facts. */
  readonly more?: Html | undefined;
}

/** Groups of one's own that are listed: there may be thousands. */
const MAX_GROUPS = 20;
/** Characters of an address. */
const MAX_ADDRESS = 200;

export function refusalBody(say: Say, site: PageSite, facts: RefusalFacts): Html {
  const { missing, address, asks, waysOn, requestId, more } = facts;
  const help = asks ? html`<p>${say('refused.ask', { help: site.help(say) })}</p>` : undefined;
  return html`<p role="alert">${missing}</p>${factsOf(youOf(say, facts), addressOf(say, address))}${more}${help}
${waysOn && linksOf(say, waysOn, facts.identity !== undefined)}
<p class="quiet">${say('page.request', { id: requestId })}</p>`;
}

function factsOf(...facts: ReadonlyArray<Html | undefined>): Html | undefined {
  const known = facts.filter((fact) => fact !== undefined);
  return known.length === 0 ? undefined : html`<dl class="facts">${known}</dl>`;
}

function addressOf(say: Say, address: string | undefined): Html | undefined {
  if (address === undefined) return undefined;
  const shown = address.length > MAX_ADDRESS ? `${address.slice(0, MAX_ADDRESS)}…` : address;
  return html`<dt>${say('refused.address')}</dt><dd>${shown}</dd>`;
}

/** One's own groups are one's own business; whether they are what is missing, only the refusal knows. */
function youOf(say: Say, { identity, showGroups = false }: RefusalFacts): Html | undefined {
  if (identity === undefined) return undefined;
  const { email, groups } = identity;
  const name = displayName(identity);
  const shown =
    groups.length > MAX_GROUPS ? [...groups.slice(0, MAX_GROUPS), `+ ${groups.length - MAX_GROUPS}`] : groups;
  return html`<dt>${say('refused.you')}</dt><dd>${name}${email === '' || email === name ? undefined : ` (${email})`}</dd>
${showGroups && groups.length > 0 ? html`<dt>${say('refused.groups')}</dt><dd>${shown.join(', ')}</dd>` : undefined}`;
}

/** Who is signed in would come straight back without `prompt=login`. */
function linksOf(say: Say, { signIn, home }: NonNullable<RefusalFacts['waysOn']>, known: boolean): Html {
  const link = known
    ? signIn && html`<a class="button" href="${signIn}&prompt=login">${say('sign_in.another')}</a>`
    : signIn && html`<a class="button" href="${signIn}">${say('sign_in.title')}</a>`;
  return html`<p class="answers">${link}
<a class="button secondary" href="${home}">${say('refused.home')}</a></p>`;
}
