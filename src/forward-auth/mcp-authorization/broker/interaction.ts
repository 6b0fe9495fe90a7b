import type { Context } from 'koa';
import type Provider from 'oidc-provider';
import { displayName } from '../../../identity/identity.ts';
import { readForm } from '../../../platform/pages/form.ts';
import { showProblem } from '../../../platform/pages/visit.ts';
import type { Sealing } from '../../../platform/sealing/sealing.ts';
import { INTERACTION_PATH } from '../../decision/oauth-endpoints.ts';
import type { ScopeUse } from '../../decision/operation-scopes.ts';
import { SIGN_IN_PATHS } from '../../decision/own-endpoints.ts';
import type { Resource } from '../../decision/resources.ts';
import { currentSession } from '../../login/context.ts';
import type { Session, Sessions } from '../../sessions/session.ts';
import { accountId } from './account.ts';
import type { AuthorizationAudit } from './audit.ts';
import { isDocument } from './client-metadata.ts';
import { showConsent, showReturn, showUserRefused } from './consent-page.ts';
import type { Consents } from './consents.ts';
import type { Grants } from './grants.ts';
import { oidcErrors } from './oidc-library.ts';
import type { ResourceServers } from './resource-servers.ts';

const PURPOSE = 'consent form 1';
const AFTER = 'consent after sign-in 1';
/** Scopes of OpenID Connect that say something about the person to the client. */
const OPENID_SCOPES = ['openid', 'profile', 'email', 'offline_access'];

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

export interface InteractionContext {
  readonly provider: () => Promise<Provider>;
  readonly sessions: Pick<Sessions, 'find'>;
  readonly sealing: Sealing;
  readonly grants: Grants;
  readonly consents: Consents;
  readonly resourceServers: ResourceServers;
  /** What people call a server, by its name. */
  readonly titleOf: (server: string) => string;
  /** Ids of the providers that people sign in with for MCP clients. */
  readonly signInProviders: readonly string[];
  readonly audit: AuthorizationAudit;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/** What the client asks for, as far as it can be given. */
interface Asked {
  readonly client: string;
  readonly clientName: string;
  readonly redirectUri: string;
  readonly indicator: string;
  readonly resource: string;
  readonly described: Resource;
  /** What people call the server. */
  readonly server: string;
  readonly usesOf: (scope: string) => readonly ScopeUse[];
  /** Of the server. */
  readonly scopes: readonly string[];
  readonly openid: readonly string[];
}

/** GET and POST /_postern/oauth/interaction/…: signs the person in, asks for consent, and leads back. */
export async function interact(broker: InteractionContext, ctx: Context): Promise<void> {
  const interaction = await openInteraction(broker, ctx);
  if (interaction === undefined) return showOver(ctx);
  const asked = await readAsked(broker, interaction);
  if (asked === undefined) return showOver(ctx);
  if (asked.scopes.length === 0) return showNothingAsked(ctx, asked);
  const session = await currentSession(broker, ctx);
  if (session === undefined || !mayGoOn(broker, ctx, interaction, session)) return toSignIn(broker, ctx, interaction);
  const { identity } = session;
  if (!broker.resourceServers.mayUse(asked.described, identity)) return refuseUser(broker, ctx, session, asked);
  if (ctx.method === 'POST') return answer(broker, ctx, interaction, session, asked);
  // A client that asks for the page gets it (`prompt=consent`).
  const wanted = String(interaction.params.prompt ?? '')
    .split(' ')
    .includes('consent');
  if (!wanted && (await broker.consents.covers({ ...asked, identity }, everythingAsked(asked))))
    return leadTo(ctx, await finish(broker, ctx, session, asked));
  showConsent(ctx, {
    ...asked,
    clientUrl: isDocument(asked.client) ? asked.client : undefined,
    identity,
    token: broker.sealing.seal(PURPOSE, `${session.key} ${interaction.uid}`),
  });
}

/** The cookie of the browser that began it must name the same one as the address. */
async function openInteraction({ provider }: InteractionContext, ctx: Context): Promise<Interaction | undefined> {
  try {
    const found = await (await provider()).interactionDetails(ctx.req, ctx.res);
    return ctx.path === `${INTERACTION_PATH}/${found.uid}` ? found : undefined;
  } catch (error) {
    if (error instanceof oidcErrors().SessionNotFound) return undefined;
    throw error;
  }
}

function showOver(ctx: Context): void {
  showProblem(ctx, { status: 400, problem: 'consent_over' });
}

/** What was consented to covers no more of either kind. */
function everythingAsked({ scopes, openid }: Asked): readonly string[] {
  return [...scopes, ...openid];
}

/** Our own page, because nobody vouches for the address that a refusal would lead to. */
function showNothingAsked(ctx: Context, { clientName, server }: Asked): void {
  showProblem(ctx, { status: 400, problem: 'nothing_asked', values: { application: clientName, server } });
}

/** Otherwise the application would say that signing in went well, and fail at whatever it does next. */
async function refuseUser(broker: InteractionContext, ctx: Context, session: Session, asked: Asked): Promise<void> {
  const { client, clientName, resource, server } = asked;
  const { identity } = session;
  broker.audit.note('user_refused', { client, clientName, resource, identity }, 'a person may not use a server');
  const refusal = { error: 'access_denied', error_description: 'this person may not use this server' };
  const back = await (await broker.provider()).interactionResult(ctx.req, ctx.res, refusal);
  const page = `${SIGN_IN_PATHS.signIn}?${new URLSearchParams({ rd: ctx.path, providers: broker.signInProviders.join(','), prompt: 'login' })}`;
  showUserRefused(ctx, {
    person: displayName(session.identity),
    server,
    clientName,
    back,
    another: page,
  });
}

/** `prompt=login`: somebody who signed in before the page first sent them to does so again. */
function mayGoOn(broker: InteractionContext, ctx: Context, { prompt, uid }: Interaction, session: Session): boolean {
  if (!broker.signInProviders.includes(session.provider)) return false;
  if (prompt.name !== 'login') return true;
  const after = broker.sealing.open(`${AFTER} ${uid}`, new URLSearchParams(ctx.querystring).get('after') ?? '');
  return after !== undefined && session.createdAt >= Number(after.toString());
}

function toSignIn(broker: InteractionContext, ctx: Context, { uid, prompt }: Interaction): void {
  const { signInProviders, sealing, now } = broker;
  const page = `${INTERACTION_PATH}/${uid}`;
  const query = new URLSearchParams({ rd: page, providers: signInProviders.join(',') });
  if (prompt.name === 'login') {
    query.set('rd', `${page}?after=${sealing.seal(`${AFTER} ${uid}`, String(now()))}`);
    query.set('prompt', 'login');
  }
  leadTo(ctx, `${SIGN_IN_PATHS.signIn}?${query}`);
}

async function readAsked({ provider, resourceServers, titleOf }: InteractionContext, interaction: Interaction) {
  const { client_id: client, redirect_uri: redirectUri, resource: indicator, scope } = interaction.params;
  if (typeof client !== 'string' || typeof redirectUri !== 'string' || typeof indicator !== 'string') return undefined;
  const found = await (await provider()).Client.find(client);
  const resource = resourceServers.find(indicator);
  if (found === undefined || resource === undefined) return undefined;
  const requested = typeof scope === 'string' ? scope.split(' ') : [];
  const offered = resourceServers.scopesOf(resource);
  return {
    client,
    clientName: found.clientName ?? client,
    redirectUri,
    indicator,
    resource: resource.uri,
    described: resource,
    server: resource.server === undefined ? new URL(resource.uri).host : titleOf(resource.server),
    usesOf: (name) => resourceServers.usesOf(resource, name),
    scopes: requested.filter((name) => offered.includes(name)),
    openid: requested.filter((name) => OPENID_SCOPES.includes(name)),
  } satisfies Asked;
}

async function answer(
  broker: InteractionContext,
  ctx: Context,
  { uid }: Interaction,
  session: Session,
  asked: Asked,
): Promise<void> {
  const form = await readForm(ctx);
  const { client, clientName, resource } = asked;
  const { identity } = session;
  const about = { client, clientName, resource, identity };
  const token = broker.sealing.open(PURPOSE, form.get('token') ?? '')?.toString();
  if (token !== `${session.key} ${uid}`) {
    broker.audit.note('consent_forged', about, 'an answer to a consent page was not given on that page');
    return showProblem(ctx, { status: 403, problem: 'foreign_consent' });
  }
  if (form.get('decision') !== 'allow') {
    broker.audit.note('consent_denied', about, 'a person denied a client');
    const refusal = { error: 'access_denied', error_description: 'the person did not consent' };
    return showReturn(ctx, clientName, await (await broker.provider()).interactionResult(ctx.req, ctx.res, refusal));
  }
  broker.audit.note('consent_given', { ...about, scopes: asked.scopes }, 'a person let a client act for them');
  await broker.consents.remember({ ...asked, identity }, everythingAsked(asked));
  showReturn(ctx, clientName, await finish(broker, ctx, session, asked));
}

/** @returns where the browser goes on */
async function finish(broker: InteractionContext, ctx: Context, session: Session, asked: Asked): Promise<string> {
  const provider = await broker.provider();
  const { client, clientName, indicator, resource, scopes, openid } = asked;
  const account = accountId(session.provider, session.identity.subject);
  const grant = new provider.Grant({ accountId: account, clientId: client });
  grant.addResourceScope(indicator, [...scopes]);
  if (openid.length > 0) grant.addOIDCScope([...openid]);
  const grantId = await grant.save();
  await broker.grants.keep(grantId, session, { client, clientName, resource, scopes, expiresAt: session.endsAt });
  const result = { login: { accountId: account, remember: false }, consent: { grantId } };
  return provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
}

function leadTo(ctx: Context, location: string): void {
  ctx.status = 303;
  ctx.set({ Location: location, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' });
  ctx.body = null;
  ctx.status = 303;
}
