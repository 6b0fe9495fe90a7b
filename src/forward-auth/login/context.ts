import type { Context } from 'koa';
import { displayName, type Identity } from '../../identity/identity.ts';
import type { AuditLog } from '../../platform/audit/audit-log.ts';
import type { Config } from '../../platform/config/schema.ts';
import { requestId } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';
import type { AuthMetrics } from '../../platform/metrics.ts';
import { visitOf } from '../../platform/pages/visit.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import type { Stores } from '../../stores/stores.ts';
import type { Suspensions } from '../../stores/suspensions.ts';
import type { Watcher } from '../../watch/watch.ts';
import type { ProviderKeys } from '../authenticators/provider-keys.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { Browser, Session, Sessions } from '../sessions/session.ts';
import type { LoginTransactions } from './login-transaction.ts';
import type { ProviderClient } from './provider-client.ts';
import type { RequestOrigins } from './request-origin.ts';
import type { ReturnUrls } from './return-url.ts';

/** Too many attempts of one address. */
export interface AttemptLimit {
  /** Milliseconds until the next is let through. */
  readonly resetIn: number;
}

/** What every endpoint of sign-in works with. */
export interface LoginContext {
  readonly config: Config;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
  readonly sessions: Sessions;
  readonly sealing: Sealing;
  readonly stores: Pick<Stores, 'locks'>;
  readonly suspensions: Pick<Suspensions, 'find'>;
  readonly metrics: Pick<AuthMetrics, 'signIns'>;
  readonly audit: AuditLog | undefined;
  readonly watch?: Watcher | undefined;
  readonly allowAttempt: (address: string) => Promise<AttemptLimit | undefined>;
  readonly providers: ReadonlyMap<string, ProviderClient>;
  readonly keysOf: (provider: ProviderClient) => Pick<ProviderKeys, 'find' | 'search'>;
  readonly attempts: LoginTransactions;
  readonly places: RequestOrigins;
  readonly returns: ReturnUrls;
}

/** How a sign-in ended; a metric label. */
export type SignInOutcome = 'signed_in' | 'denied' | 'provider_error' | 'state_invalid' | 'not_allowed' | 'unavailable';

/**
 * Counts and records how a sign-in ended.
 *
 * @param provider a configured id, never what a request says
 * @param identity who it is, where that is known
 */
export function countSignIn(
  { metrics, audit, watch, places }: LoginContext,
  ctx: Context,
  provider: string,
  outcome: SignInOutcome,
  identity?: Identity,
): void {
  metrics.signIns.inc({ provider, outcome });
  const address = places.addressOf(ctx.req);
  watch?.observe({ kind: 'sign_in', outcome, person: identity, address });
  audit?.record({
    event: 'sign_in',
    outcome,
    identity,
    credential: 'session',
    via: provider,
    client: address,
    requestId: requestId(ctx.req),
  });
}

/** The page that is shown then names the person. */
export async function currentSession(
  { sessions }: { readonly sessions: Pick<Sessions, 'find'> },
  ctx: Context,
): Promise<Session | undefined> {
  const session = await sessions.find(ctx.headers.cookie);
  if (session !== undefined) visitOf(ctx).person = displayName(session.identity);
  return session;
}

export function browserOf({ places }: LoginContext, ctx: Context): Browser {
  return {
    userAgent: ctx.get('user-agent'),
    address: places.addressOf(ctx.req),
    host: new URL(places.originOf(ctx.req)).hostname,
  };
}

/** `Location` as it is: Koa's own `redirect` would take it apart. */
export function redirect(ctx: Context, status: 302 | 303, location: string): void {
  ctx.status = status;
  ctx.set({ Location: location, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' });
  ctx.body = null;
  ctx.status = status;
}

/** Says first that the form was not taken. It is on the page at the address that it went to. */
export function signInForForm(ctx: Context): string {
  return signInAgain(ctx.path, { form: '1' });
}

/** Address of a new attempt. @param more further parameters */
export function signInAgain(back: string, more: Readonly<Record<string, string>> = {}): string {
  return `${SIGN_IN_PATHS.signIn}?${new URLSearchParams({ rd: back, ...more })}`;
}
