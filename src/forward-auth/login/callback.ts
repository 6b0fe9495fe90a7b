import type { Context } from 'koa';
import { identityExcess, identitySize } from '../../identity/identity-size.ts';
import { digestOf } from '../../platform/digest.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { failureText } from '../../platform/failure-reason.ts';
import { type Problem, showOnwards, showProblem, visitOf } from '../../platform/pages/visit.ts';
import type { SignedIn } from '../sessions/session.ts';
import { browserOf, countSignIn, currentSession, type LoginContext, redirect, signInAgain } from './context.ts';
import type { LoginTransaction } from './login-transaction.ts';
import type { ProviderClient } from './provider-client.ts';
import { SignInFailed } from './provider-failures.ts';
import { among, providerAway, toProvider } from './sign-in.ts';

/** GET /_postern/callback, or the provider's own below it (RFC 6749 §4.1.2, RFC 9207): checks whose attempt this is, takes the code, begins a session. */
export async function finishSignIn(login: LoginContext, ctx: Context): Promise<void> {
  const query = new URLSearchParams(ctx.querystring);
  const states = query.getAll('state');
  const opened = login.attempts.open(states.length === 1 ? (states[0] as string) : '', ctx.headers.cookie);
  const { attempt } = opened;
  const provider = login.providers.get(attempt?.provider ?? '');
  // An answer at another provider's address is not of the one that was asked: its code goes to neither of them.
  const here = attempt?.origin === login.places.originOf(ctx.req) && provider?.callbackPath === ctx.path;
  if (attempt === undefined || provider === undefined || !here) return endAttempt(login, ctx, attempt);
  if (opened.kind === 'unbound' && (await currentSession(login, ctx)) === undefined) {
    const { offered } = attempt;
    const back = login.returns.acceptOrFallback(attempt.back);
    return toProvider(login, ctx, provider, { back, again: true, ...(offered === undefined ? {} : { offered }) });
  }
  if (opened.kind !== 'good') return endAttempt(login, ctx, attempt);
  // Whatever comes of it: an attempt is good once. Its second half is told by its nonce.
  const name = digestOf(attempt.nonce);
  if (!(await login.stores.locks.once(`sign-in:${name}`, login.config.auth.signIn.attemptLifetime + 60_000)))
    return endAttempt(login, ctx, attempt);
  if (!(await isAnswerOf(login, ctx, provider, attempt, query))) return;
  if (query.has('error'))
    return showProblem(ctx, refusalOf(login, ctx, provider, attempt, query.get('error') as string));

  const signedIn = await exchange(login, ctx, provider, attempt, states[0] as string);
  if (signedIn === undefined) return;
  const { maxIdentity: limit } = login.config.auth.limits;
  if (identitySize(signedIn.identity) > limit)
    return refuseExcess(login, ctx, provider, attempt, identityExcess(signedIn.identity, limit));
  if (login.suspensions.find(signedIn.identity) !== undefined) return refuseSuspended(login, ctx, provider, signedIn);
  const cookies = await login.sessions.begin(signedIn, browserOf(login, ctx), ctx.headers.cookie);
  for (const cookie of cookies) ctx.append('Set-Cookie', cookie);
  countSignIn(login, ctx, provider.config.id, 'signed_in', signedIn.identity);
  login.log.info({ provider: provider.config.id, identity: signedIn.identity }, 'user signed in');
  leadIn(login, ctx, login.returns.acceptOrFallback(attempt.back));
}

/**
 * A redirect would go on with the navigation that the provider began: where it is on another site, no `SameSite=Strict`
 * cookie comes with that (RFC 6265bis §5.2.1), and the person would be sent to sign in for ever. A page of ours begins anew.
 */
function leadIn({ config }: LoginContext, ctx: Context, back: string): void {
  if (config.auth.sessions.sameSite === 'strict') showOnwards(ctx, visitOf(ctx).say('signed_in.title'), back);
  else redirect(ctx, 303, back);
}

/** The provider signs them in again without a question, so that nothing but this keeps them out. */
function refuseSuspended(login: LoginContext, ctx: Context, provider: ProviderClient, { identity }: SignedIn): void {
  const { id } = provider.config;
  const { requestId } = ctx.state;
  login.log.info({ provider: id, identity, reason: 'user_suspended', requestId }, 'a sign-in was refused');
  countSignIn(login, ctx, id, 'not_allowed', identity);
  showProblem(ctx, { status: 403, problem: 'suspended' });
}

/** No proxy would carry it: each request afterwards would fail, and say less. */
function refuseExcess(
  login: LoginContext,
  ctx: Context,
  provider: ProviderClient,
  attempt: LoginTransaction,
  excess: string,
): void {
  const { id } = provider.config;
  login.log.warn({ provider: id, requestId: ctx.state.requestId }, `a sign-in was refused: ${excess}`);
  countSignIn(login, ctx, id, 'not_allowed');
  showProblem(ctx, {
    status: 403,
    problem: 'too_many_groups',
    values: { excess },
    again: signInAgain(attempt.back, { switch: '1', ...among(attempt) }),
  });
}

/** Old, used or not this browser's. Somebody who is signed in only went back in the history. */
async function endAttempt(login: LoginContext, ctx: Context, attempt: LoginTransaction | undefined): Promise<void> {
  const back = login.returns.acceptOrFallback(attempt?.back);
  if ((await currentSession(login, ctx)) !== undefined) return redirect(ctx, 303, back);
  const known = attempt !== undefined && login.providers.has(attempt.provider) ? attempt.provider : 'unknown';
  countSignIn(login, ctx, known, 'state_invalid');
  showProblem(ctx, {
    status: 400,
    problem: 'sign_in_over',
    again: signInAgain(back, among(attempt ?? {})),
  });
}

/** Shows a problem where the answer names another issuer, or none although the provider promises it (RFC 9207 §2.4). */
async function isAnswerOf(
  login: LoginContext,
  ctx: Context,
  provider: ProviderClient,
  attempt: LoginTransaction,
  query: URLSearchParams,
): Promise<boolean> {
  const { id } = provider.config;
  try {
    if (await provider.answersAs(query.getAll('iss'))) return true;
    login.log.warn(
      { provider: id, requestId: ctx.state.requestId },
      'an answer was not of the provider that was asked',
    );
    countSignIn(login, ctx, id, 'provider_error');
    showProblem(ctx, wrongAnswer(signInAgain(attempt.back, { switch: '1', ...among(attempt) })));
  } catch (error) {
    if (!(error instanceof DependencyUnavailable)) throw error;
    countSignIn(login, ctx, id, 'unavailable');
    showProblem(ctx, providerAway(provider, attempt));
  }
  return false;
}

function refusalOf(
  login: LoginContext,
  ctx: Context,
  provider: ProviderClient,
  attempt: LoginTransaction,
  code: string,
): Problem {
  const { id } = provider.config;
  const named = /^[a-z_]{1,64}$/.test(code) ? code : 'unreadable';
  login.log.info({ provider: id, error: named }, 'the identity provider refused a sign-in');
  const again = signInAgain(attempt.back, { switch: '1', ...among(attempt) });
  if (named === 'access_denied') {
    countSignIn(login, ctx, id, 'denied');
    return { status: 403, problem: 'denied', again };
  }
  if (named === 'temporarily_unavailable' || named === 'server_error') {
    countSignIn(login, ctx, id, 'unavailable');
    return providerAway(provider, attempt);
  }
  countSignIn(login, ctx, id, 'provider_error');
  if (!/^(?:login|interaction|consent|account_selection)_required$/.test(named)) return wrongAnswer(again);
  return { status: 401, problem: 'provider_asks', again };
}

async function exchange(
  login: LoginContext,
  ctx: Context,
  provider: ProviderClient,
  attempt: LoginTransaction,
  state: string,
): Promise<SignedIn | undefined> {
  const { id } = provider.config;
  try {
    return await provider.exchange(attempt.origin, ctx.querystring, state, attempt);
  } catch (error) {
    const again = signInAgain(attempt.back, { switch: '1', ...among(attempt) });
    if (error instanceof DependencyUnavailable) {
      login.log.warn(
        { provider: id, error: failureText(error), requestId: ctx.state.requestId },
        'the identity provider was away during a sign-in',
      );
      countSignIn(login, ctx, id, 'unavailable');
      showProblem(ctx, providerAway(provider, attempt));
    } else if (error instanceof SignInFailed && error.problem === 'not_allowed') {
      countSignIn(login, ctx, id, 'not_allowed');
      showProblem(ctx, { status: 403, problem: 'not_admitted', again });
    } else if (error instanceof SignInFailed) {
      login.log.warn(
        { provider: id, error: error.message, requestId: ctx.state.requestId },
        'an answer of the identity provider was refused',
      );
      countSignIn(login, ctx, id, 'provider_error');
      showProblem(ctx, wrongAnswer(again));
    } else throw error;
    return undefined;
  }
}

function wrongAnswer(again: string): Problem {
  return { status: 502, problem: 'wrong_answer', again };
}
