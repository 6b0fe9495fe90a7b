import type { Identity } from '../../identity/identity.ts';
import type { AuthConfig, EmittedPreset, RuleConfig } from '../../platform/config/schema.ts';
import { hostGlob, pathGlob } from './globs.ts';
import { OperationScopes, type ScopeUse } from './operation-scopes.ts';
import type { CheckRequest } from './request.ts';
import type { Resource } from './resources.ts';

type Scopes = readonly string[];
type Matched = Pick<CheckRequest, 'path' | 'host' | 'method' | 'context'> &
  Partial<Pick<CheckRequest, 'scheme' | 'readings'>>;

/** A rule of the configuration, ready to be matched. */
export interface Rule {
  /** Its place in the configuration, such as `auth.rules[0]`. */
  readonly name: string;
  readonly index: number;
  readonly public: boolean;
  /** Takes paths with encoded delimiters. */
  readonly encodedDelimiters: boolean;
  /** Taken only where the proxy names its route. */
  readonly byContext: boolean;
  /** Only a browser's session counts; other credentials are the application's own. */
  readonly sessionOnly: boolean;
  matches(request: Matched): boolean;
  /** Whether any request to this resource can match. */
  mayMatch(resource: Pick<Resource, 'scheme' | 'host' | 'path'>): boolean;
  /** Whose identities it can take; undefined: everybody's. */
  readonly issuers: ReadonlySet<string> | undefined;
  /** Who may, as the configuration has it; empty: everybody who is signed in. */
  readonly allow: { readonly [Kind in 'users' | 'groups' | 'providers']?: readonly string[] | undefined };
  /** By user or group, before scopes. */
  admits(identity: Identity): boolean;
  readonly scopes: OperationScopes;
  /** Ids of the providers that people may sign in with; undefined: all. Empty: nobody is sent to sign in. */
  readonly signInProviders: readonly string[] | undefined;
  readonly emit: readonly EmittedPreset[];
}

/** The rules of one configuration: compiled once, asked for each request. */
export class Rules {
  readonly #rules: readonly Rule[];
  readonly #implied: ReadonlyMap<string, ReadonlySet<string>>;
  /** Every preset that any rule emits. */
  readonly emitted: readonly EmittedPreset[];

  /** @param own issuers beside the providers, by the reserved names of API keys and client certificates */
  constructor(
    config: Pick<AuthConfig, 'rules' | 'scopeHierarchy' | 'providers'>,
    own: ReadonlyMap<string, string> = new Map(),
  ) {
    const issuers = new Map([...own, ...config.providers.map(({ id, issuer }) => [id, issuer] as const)]);
    this.#rules = config.rules.map((rule, index) => compile(rule, index, issuers, own));
    this.#implied = closure(config.scopeHierarchy);
    this.emitted = [...new Set(this.#rules.flatMap((rule) => rule.emit))];
  }

  /** @returns the first that matches; where the path has several readings, the one for all that takes them; undefined means deny */
  match(request: Matched): Rule | undefined {
    const rule = this.#first(request);
    const { readings } = request;
    if (readings === undefined) return rule;
    const one =
      rule?.encodedDelimiters === true && readings.every((path) => this.#first({ ...request, path }) === rule);
    return one ? rule : undefined;
  }

  #first(request: Matched): Rule | undefined {
    for (const rule of this.#rules) if (rule.matches(request)) return rule;
    return undefined;
  }

  /**
   * Whether any message to an MCP server can be allowed to somebody, by what is known when they sign in: a rule that the proxy
   * chooses by its route's context counts as well.
   */
  mayUse(resource: Pick<Resource, 'scheme' | 'host' | 'path'>, identity: Identity): boolean {
    const { scheme, host, path } = resource;
    const first = this.#first({ scheme, host, path, method: 'POST' });
    const possible = this.#rules.filter((rule) => rule === first || (rule.byContext && rule.mayMatch(resource)));
    return possible.some((rule) => rule.public || rule.admits(identity));
  }

  /** A broader scope implies the narrower ones below it. */
  covers(granted: Scopes, needed: Scopes): boolean {
    for (const scope of needed) {
      if (granted.includes(scope)) continue;
      if (!granted.some((holder) => this.#implied.get(holder)?.has(scope) === true)) return false;
    }
    return true;
  }

  /** Scopes that a client may ask for, without `offline_access`, which is no scope of a resource. */
  scopesOf(resource: Parameters<Rule['mayMatch']>[0]): string[] {
    const scopes = this.#rules.filter((rule) => rule.mayMatch(resource)).flatMap((rule) => rule.scopes.all);
    return [...new Set(scopes)].filter((scope) => scope !== 'offline_access');
  }

  /** What a scope is for at a resource, so that people can be told. */
  usesOf(resource: Parameters<Rule['mayMatch']>[0], scope: string): ScopeUse[] {
    return this.#rules.filter((rule) => rule.mayMatch(resource)).flatMap((rule) => rule.scopes.usesOf(scope));
  }

  /** Scopes that every request needs. */
  defaultScopesOf(resource: Parameters<Rule['mayMatch']>[0]): string[] {
    return [...new Set(this.#rules.filter((rule) => rule.mayMatch(resource)).flatMap((rule) => rule.scopes.always))];
  }
}

function compile(
  config: RuleConfig,
  index: number,
  issuers: ReadonlyMap<string, string>,
  own: ReadonlyMap<string, string>,
): Rule {
  const path = config.match.path === undefined ? undefined : pathGlob(config.match.path);
  const host = config.match.host === undefined ? undefined : hostGlob(config.match.host);
  const methods = config.match.methods === undefined ? undefined : new Set(config.match.methods);
  const context = config.match.context === undefined ? undefined : Object.entries(config.match.context);
  const allow: Rule['allow'] = config.allow === 'anyone-signed-in' ? {} : (config.allow ?? {});
  const { users, groups, providers } = allow;
  const named = providers?.flatMap((id) => issuers.get(id) ?? []);
  const from = named === undefined ? undefined : new Set(named);
  const scopes = new OperationScopes(config.scopes);
  return {
    name: `auth.rules[${index}]`,
    index,
    public: config.public,
    encodedDelimiters: config.encodedDelimiters,
    byContext: context !== undefined,
    sessionOnly: config.sessionOnly,
    matches: (request) =>
      (path === undefined || path(request.path)) &&
      (host === undefined || host(request.host, request.scheme)) &&
      (methods === undefined || methods.has(request.method)) &&
      (context === undefined || context.every(([key, value]) => contextValue(request.context, key) === value)),
    mayMatch: (resource) =>
      (path === undefined || path(resource.path)) && (host === undefined || host(resource.host, resource.scheme)),
    issuers: from,
    allow,
    admits: (identity) =>
      (from === undefined || from.has(identity.issuer)) &&
      ((users === undefined && groups === undefined) ||
        users?.includes(identity.subject) === true ||
        groups?.some((group) => identity.groups.includes(group)) === true),
    scopes,
    signInProviders:
      config.signIn?.redirect === false ? [] : (config.signIn?.providers ?? providers?.filter((id) => !own.has(id))),
    emit: config.emit,
  };
}

/** A key such as `constructor` is no value of ours. */
function contextValue(context: Matched['context'], key: string): string | undefined {
  return context !== undefined && Object.hasOwn(context, key) ? context[key] : undefined;
}

/** Everything that a scope implies, through any number of steps; cycles are harmless. */
function closure(hierarchy: Readonly<Record<string, Scopes>>): Map<string, Set<string>> {
  const direct = new Map(Object.entries(hierarchy));
  const all = new Map<string, Set<string>>();
  for (const scope of direct.keys()) {
    const implied = new Set<string>();
    const open = [scope];
    for (let next = open.pop(); next !== undefined; next = open.pop())
      for (const narrower of direct.get(next) ?? [])
        if (!implied.has(narrower)) {
          implied.add(narrower);
          open.push(narrower);
        }
    all.set(scope, implied);
  }
  return all;
}
