import type { KoaContextWithOIDC, ResourceServer } from 'oidc-provider';
import type { Identity } from '../../../identity/identity.ts';
import type { ScopeUse } from '../../decision/operation-scopes.ts';
import { canonicalResource, type Resource, type Resources } from '../../decision/resources.ts';
import type { Rules } from '../../decision/rules.ts';
import { oidcErrors } from './oidc-library.ts';

/** Known also where no rule needs a scope, because an OAuth grant of no scope at all is none. */
export const BASE_SCOPE = 'mcp';
export const SIGNING_ALGORITHM = 'ES256';

export interface ResourceServersContext {
  readonly resources: Resources;
  readonly rules: Rules;
  /** Name of the server that tokens are for where a client does not say. */
  readonly defaultResource: string | undefined;
  /** Milliseconds. */
  readonly accessTokenLifetime: number;
}

/** The MCP servers as OAuth resource servers (RFC 8707): a token is for exactly one of them. */
export class ResourceServers {
  readonly #context: ResourceServersContext;

  constructor(context: ResourceServersContext) {
    this.#context = context;
  }

  /** @throws InvalidTarget where `resource` is doubled, malformed or none of ours */
  describe(ctx: KoaContextWithOIDC, indicator: string): ResourceServer {
    if (Array.isArray(ctx.oidc.params?.resource))
      throw new (oidcErrors().InvalidTarget)('give one "resource": a token is for one server');
    const resource = this.find(indicator);
    if (resource === undefined)
      throw new (oidcErrors().InvalidTarget)(
        `"resource" names no server here; it is the address of one: ${this.#examples()}`,
      );
    return {
      scope: this.scopesOf(resource).join(' '),
      audience: resource.uri,
      accessTokenFormat: 'jwt',
      accessTokenTTL: Math.floor(this.#context.accessTokenLifetime / 1_000),
      jwt: { sign: { alg: SIGNING_ALGORITHM } },
    };
  }

  find(indicator: string): Resource | undefined {
    return this.#context.resources.addressed(canonicalResource(indicator));
  }

  /** Another spelling of what was granted, such as with a slash behind it, is the granted one. */
  asGranted(params: { resource?: unknown } | undefined, source: object | undefined): void {
    const granted = source !== undefined && 'resource' in source ? source.resource : undefined;
    if (typeof params?.resource !== 'string' || typeof granted !== 'string') return;
    const wanted = this.find(params.resource);
    if (wanted !== undefined && wanted === this.find(granted)) params.resource = granted;
  }

  /** @throws InvalidTarget where there are several and none is the default */
  default(): string {
    const meant = this.#fallback();
    if (meant !== undefined) return meant.uri;
    throw new (oidcErrors().InvalidTarget)(
      `say by "resource" which server the token is for, such as ${this.#examples()}`,
    );
  }

  /** Whether any request to the server can be allowed to this person. */
  mayUse(resource: Resource, identity: Identity): boolean {
    return this.#context.rules.mayUse(resource, identity);
  }

  scopesOf(resource: Resource): string[] {
    return [...new Set([BASE_SCOPE, ...this.#context.rules.scopesOf(resource)])];
  }

  /** What a scope is for at a server. */
  usesOf(resource: Resource, scope: string): ScopeUse[] {
    return scope === BASE_SCOPE ? [{ by: 'every-request' }] : this.#context.rules.usesOf(resource, scope);
  }

  /** What a client gets that asks for no scope: what every request to the server needs (RFC 6749 §3.3). */
  defaultScopes(indicator: string | undefined): string[] {
    const resource = indicator === undefined ? this.#fallback() : this.find(indicator);
    const needed = resource === undefined ? [] : this.#context.rules.defaultScopesOf(resource);
    return needed.length === 0 ? [BASE_SCOPE] : needed;
  }

  /** Every scope of any server. */
  allScopes(): string[] {
    return [...new Set(this.#context.resources.all().flatMap((resource) => this.scopesOf(resource)))];
  }

  #fallback(): Resource | undefined {
    const { resources, defaultResource } = this.#context;
    const all = resources.all();
    if (all.length === 1) return all[0];
    return defaultResource === undefined ? undefined : resources.named(defaultResource);
  }

  #examples(): string {
    const uris = this.#context.resources.all().map(({ uri }) => uri);
    return uris.length > 3 ? `${uris.slice(0, 3).join(', ')} …` : uris.join(', ');
  }
}
