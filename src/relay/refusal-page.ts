import type { IncomingMessage } from 'node:http';
import { ACCOUNT_PAGES } from '../identity/account-pages.ts';
import { displayName, type Identity } from '../identity/identity.ts';
import type { Config } from '../platform/config/schema.ts';
import { presetOf } from '../platform/config/trust-presets.ts';
import { requestId } from '../platform/http.ts';
import { fieldsOf, isForPerson } from '../platform/navigation.ts';
import { clientLineList } from '../platform/pages/client-lines.ts';
import type { Html } from '../platform/pages/html.ts';
import type { PageSite } from '../platform/pages/page.ts';
import { refusalBody } from '../platform/pages/refusal-body.ts';
import type { Say, TextKey } from '../platform/pages/texts.ts';
import { ALL_SERVERS } from './all-servers.ts';
import { NOT_FOR_BROWSERS, type Refusal, type RefusalPage, type RefusalReason } from './refusal.ts';
import { matchRoute, matchTransport, pathOf } from './transports/streamable-http/route.ts';

/** Reasons for which the pages have words of their own, in the reader's language. */
const TEXTS: Partial<Readonly<Record<RefusalReason, TextKey>>> = {
  not_found: 'refused.rule',
  no_identity: 'refused.signed_out',
  credential_ended: 'refused.signed_out',
  jwt_missing: 'refused.signed_out',
  jwt_invalid: 'refused.credential',
  user_suspended: 'refused.suspended',
  identity_too_large: 'refused.too_large',
  origin: 'refused.origin',
  policy: 'refused.policy',
  insufficient_scope: 'refused.scope',
  not_acceptable: 'refused.mcp',
  upgrade: 'refused.mcp',
  dependency: 'away.advice',
  draining: 'away.advice',
  audit: 'away.advice',
  internal: 'failed.advice',
  upstream_credentials: 'refused.server_away',
  upstream_redirect: 'refused.server_away',
  upstream_page: 'refused.server_away',
  upstream_unreachable: 'refused.server_away',
  upstream_timeout: 'refused.server_away',
};

/**
 * Says to a person in a browser who they are, what is missing and whom to ask, as forward-auth does. Rules are for the log only; the
 * request's id leads there.
 */
export function createRefusalPage({ publicUrl, relay }: Config, site: PageSite): RefusalPage {
  const { origin } = new URL(publicUrl);
  const base = publicUrl.replace(/\/$/, '');
  const home = origin + ACCOUNT_PAGES.home;
  const signIn = `${origin}${ACCOUNT_PAGES.signIn}?${new URLSearchParams({ rd: home })}`;
  // Another gate has other pages.
  const waysOn = presetOf(relay.trust) === 'postern' ? { signIn, home } : undefined;
  const waysOnFrom = ({ status }: Refusal) => {
    if (status === 406) return waysOn && { ...waysOn, signIn: undefined };
    return status === 401 || status === 403 || status === 404 ? waysOn : undefined;
  };
  return (request, refusal, identity) => {
    const { method, headers } = request;
    if (!isForPerson({ method, headers: fieldsOf(headers) })) return undefined;
    const say = site.say(headers['accept-language'] ?? '');
    const known = identity === undefined || identity.method === 'anonymous' ? undefined : identity;
    const asks = refusal.status === 401 || refusal.status === 403;
    const served = refusal === NOT_FOR_BROWSERS ? serverAt(request) : undefined;
    const body = refusalBody(say, site, {
      missing: missingOf(say, refusal),
      identity: known,
      address: `${headers.host ?? ''}${request.url ?? ''}`,
      asks,
      waysOn: waysOnFrom(refusal),
      requestId: requestId(request),
      more:
        served === undefined
          ? undefined
          : clientLineList(served === ALL_SERVERS ? 'all-servers' : served, `${base}${pathOf(served)}/mcp`),
    });
    const person = personOf(known);
    return site.render({ title: say(titleOf(refusal)), body, say, person }, { standalone: true }, origin);
  };
}

function serverAt({ method = '', url = '' }: IncomingMessage): string | undefined {
  const route = matchRoute(method, url);
  return route.kind === 'mcp' ? route.server : matchTransport(url)?.server;
}

function personOf(identity: Identity | undefined): string | undefined {
  return identity && displayName(identity);
}

function titleOf({ status, reason }: Refusal): TextKey {
  const text = TEXTS[reason];
  if (text === 'refused.mcp') return 'refused.mcp_title';
  if (text === 'refused.signed_out') return 'refused.stranger_title';
  if (status === 401 || status === 403) return 'refused.title';
  if (status === 404) return 'refused.not_found_title';
  if (status === 429) return 'refused.limit_title';
  if (status < 500) return 'refused.bad_title';
  return status === 500 ? 'failed.title' : 'away.title';
}

function missingOf(say: Say, { status, reason, message, headers }: Refusal): Html {
  const seconds = headers?.['Retry-After'];
  if (status === 429 && seconds !== undefined) return say('refused.limit', { seconds });
  const text = TEXTS[reason];
  return text === undefined ? say('refused.request', { reason: message }) : say(text);
}
