import type { Identity } from '../../identity/identity.ts';
import { displayName } from '../../identity/identity.ts';
import type { Config } from '../../platform/config/schema.ts';
import { isForPerson, type WindowRequest } from '../../platform/navigation.ts';
import type { Html } from '../../platform/pages/html.ts';
import type { PageSite } from '../../platform/pages/page.ts';
import { type RefusalFacts, refusalBody } from '../../platform/pages/refusal-body.ts';
import type { Say } from '../../platform/pages/texts.ts';
import type { Policy } from '../decision/decide.ts';
import type { Allow, Decision, Redirect } from '../decision/decision.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { ProxyAnswer } from '../decision/proxy-check.ts';
import type { CheckRequest } from '../decision/request.ts';

export type Refusal = Exclude<Decision, Allow | Redirect>;

export interface RefusalPageParts {
  readonly config: Pick<Config, 'publicUrl' | 'auth'>;
  readonly policy: Pick<Policy, 'rules' | 'resources' | 'signIn'>;
  readonly site: PageSite;
  readonly titleOf: (server: string) => string;
  /** Who has this session; undefined: it is none. */
  readonly personOf: (cookie: string) => Promise<Identity | undefined>;
}

/**
 * A refusal as a page; undefined: a program asked, and gets the answer as it is.
 *
 * @param asked what could not be read is known by its asker alone
 */
export type RefusalPage = (
  asked: CheckRequest | WindowRequest,
  refusal: Refusal,
  answer: ProxyAnswer,
  requestId: string,
) => Promise<ProxyAnswer> | undefined;

/**
 * Says to a person in a browser who they are, what is missing, and whom to ask. What a rule asks for is not said: the names
 * of groups and of other people are the operator's business, whom the request's id leads to the log.
 */
export function createRefusalPage(parts: RefusalPageParts): RefusalPage {
  const render = async (
    asked: CheckRequest | WindowRequest,
    refusal: Refusal,
    answer: ProxyAnswer,
    requestId: string,
  ) => {
    const { site } = parts;
    const request = 'rawPath' in asked ? asked : undefined;
    const say = site.say(textOf(asked, 'accept-language'));
    const identity = await whoIs(parts, asked, refusal);
    const person = identity && displayName(identity);
    const origin = originOf(parts, request);
    const final = refusal.kind === 'deny' || refusal.kind === 'challenge';
    const links = final ? waysOn(parts, request, origin) : undefined;
    const stranger = isStranger(refusal, identity) && links?.signIn !== undefined;
    const title = stranger ? say('refused.stranger_title') : titleOf(say, parts, request, refusal);
    const body = refusalBody(say, site, {
      missing: stranger ? say('refused.stranger') : missingOf(say, parts, request, refusal),
      ...{ identity, requestId },
      asks: final && !stranger,
      showGroups: refusal.kind === 'deny' && refusal.cause?.missing === 'group',
      address: request && `${request.scheme}://${request.host}${request.rawPath}`,
      waysOn: links,
    });
    const page = site.render({ title, body, say, person }, {}, origin);
    const headers = [...keptHeaders(answer.headers), ...Object.entries(page.headers).flat()];
    return {
      status: answer.status,
      headers: [...headers, 'Content-Length', String(Buffer.byteLength(page.body))],
      body: page.body,
    };
  };
  return (asked, refusal, answer, requestId) =>
    isForPerson(asked) ? render(asked, refusal, answer, requestId) : undefined;
}

/** By the session where the request was refused before anybody was asked for. A page without a name is better than none. */
async function whoIs(
  { personOf }: RefusalPageParts,
  asked: WindowRequest,
  refusal: Refusal,
): Promise<Identity | undefined> {
  if (refusal.kind !== 'deny') return undefined;
  if (refusal.identity !== undefined) return refusal.identity;
  const cookie = textOf(asked, 'cookie');
  return cookie === '' ? undefined : personOf(cookie).catch(() => undefined);
}

/** Nobody is signed in, and no rule was found that says for whom the address is. */
function isStranger(refusal: Refusal, identity: Identity | undefined): boolean {
  return refusal.kind === 'deny' && refusal.reason === 'no_rule' && identity === undefined;
}

/** That of our own pages, for whatever host the page is shown at. */
function originOf({ config, policy }: RefusalPageParts, request: CheckRequest | undefined): string {
  return new URL((request && policy.signIn?.homeUrlFor(request.host)) ?? config.publicUrl).origin;
}

function titleOf(say: Say, parts: RefusalPageParts, request: CheckRequest | undefined, refusal: Refusal): Html {
  switch (refusal.kind) {
    case 'limit':
      return say('refused.limit_title');
    case 'unavailable':
      return say('away.title');
    case 'challenge':
      return say('refused.title');
    case 'deny': {
      if (refusal.status === 404) return say('refused.not_found_title');
      if (refusal.status === 400) return say('refused.bad_title');
      const server = request && parts.policy.resources.of(request).server;
      const named = server !== undefined && refusal.cause !== undefined && refusal.reason !== 'no_rule';
      return named ? say('refused.server_title', { server: parts.titleOf(server) }) : say('refused.title');
    }
    default:
      return refusal satisfies never;
  }
}

function missingOf(say: Say, parts: RefusalPageParts, request: CheckRequest | undefined, refusal: Refusal): Html {
  switch (refusal.kind) {
    case 'limit':
      return say('refused.limit', { seconds: Math.max(1, Math.ceil(refusal.resetIn / 1_000)) });
    case 'unavailable':
      return say('away.advice');
    case 'challenge':
      return refusal.reason === 'no_credential' ? say('refused.no_sign_in') : say('refused.credential');
    case 'deny': {
      const missing = refusal.cause?.missing;
      switch (missing) {
        case 'rule':
          return say('refused.rule');
        case 'suspended':
          return say('refused.suspended');
        case 'provider':
          return say('refused.provider', { providers: providersFor(parts, request) });
        case 'group':
          return say('refused.group');
        case 'user':
          return say('refused.user');
        case 'scope':
          return say('refused.scope');
        case 'origin':
          return say('refused.origin');
        case undefined:
          if (refusal.reason === 'identity_too_large') return say('refused.too_large');
          if (refusal.reason === 'ambiguous_target') return say('refused.ambiguous');
          return refusal.status === 404 ? say('refused.rule') : say('refused.request', { reason: refusal.description });
        default:
          return missing satisfies never;
      }
    }
    default:
      return refusal satisfies never;
  }
}

/** As the sign-in page calls them. */
function providersFor({ config, policy }: RefusalPageParts, request: CheckRequest | undefined): string {
  const ids = (request && policy.rules.match(request)?.allow.providers) ?? [];
  return ids.map((id) => config.auth.providers.find((provider) => provider.id === id)?.name ?? id).join(', ');
}

/** Nobody is led to sign in where nobody can. */
function waysOn(
  { policy }: RefusalPageParts,
  request: CheckRequest | undefined,
  origin: string,
): RefusalFacts['waysOn'] {
  const { signIn, rules } = policy;
  if (signIn === undefined) return undefined;
  const rule = request && rules.match(request);
  const home = origin + SIGN_IN_PATHS.home;
  return {
    home,
    signIn:
      request === undefined || rule === undefined
        ? `${origin}${SIGN_IN_PATHS.signIn}?${new URLSearchParams({ rd: home })}`
        : signIn.urlFor(request, rule),
  };
}

/** The page has a type and a length of its own, and says something about a person, which no page elsewhere may read. */
function keptHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (/^(?:content-|cache-control$|access-control-|vary$)/i.test(name)) continue;
    kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

/** Of several nothing is believed. */
function textOf({ headers }: WindowRequest, name: string): string {
  const value = headers.get(name);
  return typeof value === 'string' ? value : '';
}
