import type * as client from 'openid-client';
import { digestOf } from '../../platform/digest.ts';
import { DependencyUnavailable, PosternError } from '../../platform/errors.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import type { Secret } from '../../platform/secret-source.ts';
import type { Documents, Locks } from '../../stores/stores.ts';
import { clientAuthentication, serverAway } from '../credentials/oauth-errors.ts';
import type { AuthorizationServers } from '../credentials/server-metadata.ts';

export interface ProviderSettings {
  readonly server: string;
  /** Shown to people. */
  readonly name: string;
  /** Of the MCP server. */
  readonly url: string;
  readonly resource: string | undefined;
  readonly issuer: string | undefined;
  readonly clientId: string | undefined;
  readonly secret: Secret | undefined;
  readonly authentication: 'client_secret_basic' | 'client_secret_post';
  readonly scopes: readonly string[];
  /** Where the provider sends people back to; one for each server (RFC 9700 §4.4.2.2). */
  readonly redirectUri: string;
}

export interface ProviderDependencies {
  readonly servers: AuthorizationServers;
  readonly fetch: typeof fetch;
  readonly documents: Documents;
  readonly locks: Locks;
  readonly sealing: Sealing;
  readonly now: () => number;
}

interface Registered {
  readonly clientId: string;
  readonly clientSecret?: string;
  /** Unix time in milliseconds. */
  readonly secretExpiresAt?: number;
}

const REGISTERED = 'upstream-clients';
/** Milliseconds that registering may take. */
const REGISTRATION = 15_000;
/** Milliseconds for which a client is kept: a server that names other issuers all the time must not fill the store. */
const REGISTERED_FOR = 365 * 24 * 3_600_000;
/** Milliseconds for which the protected-resource metadata is believed. */
const FRESH = 300_000;

/** The provider at which people connect their account for one MCP server, and the relay's client there. */
export class UpstreamProvider {
  readonly settings: ProviderSettings;
  readonly #deps: ProviderDependencies;
  #named: { readonly issuer: string; readonly until: number } | undefined;

  constructor(settings: ProviderSettings, deps: ProviderDependencies) {
    this.settings = settings;
    this.#deps = deps;
  }

  /** The configured issuer, or the first that the server names (RFC 9728 §3). @throws DependencyUnavailable */
  async issuer(): Promise<string> {
    const { issuer, server } = this.settings;
    if (issuer !== undefined) return issuer;
    const { now } = this.#deps;
    if (this.#named !== undefined && now() < this.#named.until) return this.#named.issuer;
    const failures: unknown[] = [];
    for (const url of resourceMetadataUrls(this.settings.url))
      try {
        const named = await this.#ask(url);
        this.#named = { issuer: named, until: now() + FRESH };
        return named;
      } catch (error) {
        failures.push(error);
      }
    throw new DependencyUnavailable(`the metadata of the MCP server "${server}"`, failures[0]);
  }

  /** @param issuer of the connection or attempt at hand: never another one's client @throws DependencyUnavailable */
  async client(issuer: string): Promise<client.Configuration> {
    const { clientId, secret, authentication } = this.settings;
    const { servers } = this.#deps;
    if (clientId !== undefined && issuer === this.settings.issuer)
      return servers.client(issuer, clientId, clientAuthentication(secret?.current(), authentication));
    const registered = await this.#registered(issuer);
    return servers.client(
      issuer,
      registered.clientId,
      clientAuthentication(registered.clientSecret, 'client_secret_basic'),
    );
  }

  async #ask(url: string): Promise<string> {
    const response = await this.#deps.fetch(url, { headers: { Accept: 'application/json' } });
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
    const { resource, authorization_servers: named } = (await response.json()) as Record<string, unknown>;
    // RFC 9728 §3.3: metadata of another resource must not be used.
    if (typeof resource !== 'string' || !isSameResource(resource, this.settings.resource ?? this.settings.url))
      throw new Error(`${url} describes another resource`);
    const [issuer] = Array.isArray(named) ? named : [];
    if (typeof issuer !== 'string' || !URL.canParse(issuer)) throw new Error(`${url} names no authorization server`);
    return issuer;
  }

  async #registered(issuer: string): Promise<Registered> {
    const { documents, locks } = this.#deps;
    const { redirectUri, server } = this.settings;
    const id = digestOf(JSON.stringify([issuer, redirectUri]));
    const known = await this.#read(id);
    if (known !== undefined) return known;
    const lock = await locks.acquire(`register ${id}`, REGISTRATION);
    if (lock === undefined) throw new DependencyUnavailable(`the registration at ${new URL(issuer).host}`);
    try {
      const found = (await this.#read(id)) ?? (await this.#register(issuer, redirectUri, server));
      const sealed = this.#deps.sealing.seal(`upstream client ${id}`, JSON.stringify(found));
      await documents.put(REGISTERED, id, sealed, this.#deps.now() + REGISTERED_FOR);
      return found;
    } finally {
      await lock.release();
    }
  }

  async #read(id: string): Promise<Registered | undefined> {
    const { documents, sealing, now } = this.#deps;
    const text = await documents.get(REGISTERED, id);
    const opened = text === undefined ? undefined : sealing.open(`upstream client ${id}`, text);
    if (opened === undefined) return undefined;
    const registered = JSON.parse(opened.toString()) as Registered;
    return (registered.secretExpiresAt ?? Number.POSITIVE_INFINITY) > now() ? registered : undefined;
  }

  /** RFC 7591 §3. */
  async #register(issuer: string, redirectUri: string, server: string): Promise<Registered> {
    const { fetch: fetcher, servers } = this.#deps;
    const { registration_endpoint: endpoint } = await servers.metadata(issuer);
    if (endpoint === undefined)
      throw new PosternError(
        'no_registration',
        `the provider of "${server}" registers no clients: the configuration needs a clientId for it`,
        { status: 502, expose: true },
      );
    const response = await fetcher(endpoint, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify({
        client_name: 'Postern',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_basic',
        ...(this.settings.scopes.length === 0 ? {} : { scope: this.settings.scopes.join(' ') }),
      }),
    }).catch((cause: unknown) => {
      throw serverAway(issuer, cause);
    });
    if (response.status !== 201 && response.status !== 200)
      throw serverAway(issuer, new Error(`registration was answered ${response.status}`));
    const answer = (await response.json()) as Record<string, unknown>;
    if (typeof answer.client_id !== 'string') throw serverAway(issuer, new Error('registration gave no client_id'));
    const ends = Number(answer.client_secret_expires_at ?? 0);
    return {
      clientId: answer.client_id,
      ...(typeof answer.client_secret === 'string' ? { clientSecret: answer.client_secret } : {}),
      ...(ends > 0 ? { secretExpiresAt: ends * 1000 } : {}),
    };
  }
}

/** RFC 9728 §3.1: inserted before the path first, then at the root. */
function resourceMetadataUrls(url: string): string[] {
  const { origin, pathname } = new URL(url);
  const base = `${origin}/.well-known/oauth-protected-resource`;
  return pathname === '/' ? [base] : [`${base}${pathname.replace(/\/$/, '')}`, base];
}

/** With or without a slash at the end it is the same one; its origin, as some servers say, covers it. */
function isSameResource(said: string, ours: string): boolean {
  if (!URL.canParse(said)) return false;
  const bare = (text: string) => new URL(text).href.replace(/\/$/, '');
  return bare(said) === bare(ours) || bare(said) === new URL(ours).origin;
}
