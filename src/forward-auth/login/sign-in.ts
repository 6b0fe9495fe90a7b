import type { Context } from 'koa';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { COMMON_HEADERS } from '../../platform/pages/page.ts';
import { type Problem, showOnwards, showProblem, visitOf } from '../../platform/pages/visit.ts';
import { OPEN_RIGHT_ADDRESS } from '../decision/refusal-fix.ts';
import { hostCookieName } from '../sessions/cookie.ts';
import { countSignIn, currentSession, type LoginContext, redirect, signInAgain } from './context.ts';
import type { LoginTransaction } from './login-transaction.ts';
import { showChoices } from './pages.ts';
import type { ProviderClient } from './provider-client.ts';
import { nameRightAddress } from './wrong-address.ts';

/** Straight returns to a page that sends people back at once, before we say so. */
const MAX_RETURNS = 3;
/** Seconds within which they count. */
const RETURNS_WINDOW = 10;

/** GET /_postern/sign-in: leads to the provider, to a choice of providers, or straight back. */
export async function beginSignIn(login: LoginContext, ctx: Context): Promise<void> {
  const query = new URLSearchParams(ctx.querystring);
  const back = login.returns.acceptOrFallback(query.get('rd') ?? undefined);
  const offered = offeredProviders(login, query);
  if (!isNavigation(ctx)) return refuseBackground(login, ctx, back);
  if (!login.places.isAtOurs(ctx.req)) return refuseElsewhere(login, ctx, back);

  if (hidesSession(login, ctx))
    return showOnwards(ctx, visitOf(ctx).say('sign_in.title'), `${ctx.path}?${ctx.querystring}`);
  if (query.has('form')) return showFormNotTaken(login, ctx, query, back);

  const limit = await login.allowAttempt(login.places.addressOf(ctx.req));
  if (limit !== undefined)
    return showProblem(ctx, {
      status: 429,
      problem: 'attempts',
      retryAfter: Math.max(1, Math.ceil(limit.resetIn / 1_000)),
    });
  const [first] = offered;
  if (first === undefined) return showProblem(ctx, { status: 404, problem: 'no_provider' });
  const session = await currentSession(login, ctx);
  // A link from another site led here although there is a session: what it is for does not depend on a choice.
  const hidden = login.config.auth.sessions.sameSite === 'strict' && query.has('rd');
  if ((offered.length === 1 || hidden) && !query.has('switch') && !query.has('prompt') && !query.has('provider')) {
    if (offered.some(({ config }) => config.id === session?.provider)) return returnStraight(login, ctx, back);
  }
  const listed = listedProviders(login, query);
  const anew = query.get('prompt') === 'login';
  // A new sign-in ends the session and the grants that rest on it: no page elsewhere may begin one unasked.
  const asksFirst = session !== undefined && isFromElsewhere(ctx);
  if (offered.length === 1 && !asksFirst) return toProvider(login, ctx, first, { back, ...listed }, anew);
  showChoices(
    ctx,
    offered.map(({ config: { id, name = id } }) => ({
      name,
      href: signInAgain(back, { provider: id, ...(anew ? { prompt: 'login' } : {}), ...among(listed) }),
    })),
  );
}

/** Kept through an attempt, so that whoever tries again is not offered a provider that this page does not take. */
function listedProviders({ providers }: LoginContext, query: URLSearchParams): Pick<LoginTransaction, 'offered'> {
  const listed =
    query
      .get('providers')
      ?.split(',')
      .filter((id) => providers.has(id)) ?? [];
  return listed.length === 0 ? {} : { offered: listed.join(',') };
}

/** As a parameter of the sign-in page. */
export function among({ offered }: Pick<LoginTransaction, 'offered'>): Readonly<Record<string, string>> {
  return offered === undefined ? {} : { providers: offered };
}

function offeredProviders({ providers }: LoginContext, query: URLSearchParams): ProviderClient[] {
  const chosen = query.get('provider');
  const listed = query.get('providers')?.split(',');
  return [...providers.values()].filter(({ config }) =>
    chosen === null ? listed === undefined || listed.includes(config.id) : config.id === chosen,
  );
}

/** Only a person's own navigation starts an attempt: a program or a prefetch would leave a cookie that nobody asked for. */
function isNavigation(ctx: Context): boolean {
  const mode = ctx.get('sec-fetch-mode');
  const destination = ctx.get('sec-fetch-dest');
  if (mode !== '' && mode !== 'navigate') return false;
  if (destination !== '' && destination !== 'document') return false;
  return !/prefetch|prerender/i.test(ctx.get('sec-purpose') || ctx.get('purpose'));
}

/** Fetch Metadata; a browser that does not say is taken at its word, as a person typing the address is. */
function isFromElsewhere(ctx: Context): boolean {
  return /^(?:cross-site|same-site)$/.test(ctx.get('sec-fetch-site'));
}

/** A link from another site brings no `SameSite=Strict` cookie; the same address opened by a page of ours does. */
function hidesSession({ config }: LoginContext, ctx: Context): boolean {
  return config.auth.sessions.sameSite === 'strict' && ctx.get('sec-fetch-site') === 'cross-site';
}

/** A redirect turned the form into a GET: going on at once would lose it without a word. */
function showFormNotTaken(login: LoginContext, ctx: Context, query: URLSearchParams, back: string): void {
  showProblem(ctx, {
    status: 401,
    problem: 'form_lost',
    again: signInAgain(back, among(listedProviders(login, query))),
  });
}

/** The cookie of an attempt begun here would not come to the callback. */
function refuseElsewhere(login: LoginContext, ctx: Context, back: string): void {
  const { main } = login.places;
  const host = ctx.get('x-forwarded-host') || ctx.get('host');
  login.log.warn(
    { host, expected: main, requestId: ctx.state.requestId, fix: OPEN_RIGHT_ADDRESS },
    'sign-in requested at another address than publicUrl',
  );
  nameRightAddress(ctx, undefined, main + signInAgain(back));
}

function refuseBackground({ places }: LoginContext, ctx: Context, back: string): void {
  ctx.status = 401;
  ctx.set(COMMON_HEADERS);
  ctx.body = {
    error: 'sign_in_required',
    error_description: 'open sign_in_url in the browser window',
    sign_in_url: places.originOf(ctx.req) + signInAgain(back),
  };
}

/**
 * Somebody who is signed in is let back, unless the page sends them here again and again: then its host does not get the
 * session, and one more round would not help.
 */
function returnStraight(login: LoginContext, ctx: Context, back: string): void {
  const name = hostCookieName(login.config.auth.sessions.cookie, 'returns');
  const rounds = Number(ctx.cookies.get(name)?.match(/^[0-9]$/)?.[0] ?? 0) + 1;
  if (rounds <= MAX_RETURNS) {
    ctx.append('Set-Cookie', `${name}=${rounds}; Path=/; Max-Age=${RETURNS_WINDOW}; HttpOnly; Secure; SameSite=Lax`);
    redirect(ctx, 302, back);
  } else {
    showProblem(ctx, {
      status: 403,
      problem: 'not_accepted',
      again: signInAgain(back, { switch: '1' }),
    });
  }
}

export async function toProvider(
  login: LoginContext,
  ctx: Context,
  provider: ProviderClient,
  place: Pick<LoginTransaction, 'back' | 'offered' | 'again'>,
  anew = false,
): Promise<void> {
  const origin = login.places.originOf(ctx.req);
  const { attempt, state, cookie } = login.attempts.begin(ctx.headers.cookie, {
    ...place,
    provider: provider.config.id,
    origin,
  });
  try {
    const url = await provider.authorizationUrl(origin, state, attempt, anew);
    ctx.append('Set-Cookie', cookie);
    redirect(ctx, 302, url.href);
  } catch (error) {
    if (!(error instanceof DependencyUnavailable)) throw error;
    countSignIn(login, ctx, provider.config.id, 'unavailable');
    showProblem(ctx, providerAway(provider, place));
  }
}

export function providerAway({ config }: ProviderClient, place: Pick<LoginTransaction, 'back' | 'offered'>): Problem {
  return {
    status: 503,
    problem: 'provider_away',
    values: { provider: config.name ?? config.id },
    again: signInAgain(place.back, among(place)),
    retryAfter: 5,
  };
}
