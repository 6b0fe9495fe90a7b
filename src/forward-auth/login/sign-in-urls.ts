import type { Config } from '../../platform/config/schema.ts';
import { Authorities } from '../decision/authorities.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { CheckRequest } from '../decision/request.ts';
import type { Rule } from '../decision/rules.ts';
import type { SignIn } from '../decision/sign-in.ts';
import { ReturnUrls } from './return-url.ts';

/** Characters of an address that a page is told of. */
const MAX_FROM = 1_024;

/** Where a refused request is sent to sign in. Pure: the same request always gets the same address. */
export class SignInUrls implements SignIn {
  readonly #providers: readonly string[];
  readonly #origins: Origins;
  readonly #returns: ReturnUrls;
  readonly #corsOrigins: ReadonlySet<string>;
  readonly #authorities: Authorities;

  constructor(config: Pick<Config, 'publicUrl' | 'auth'>) {
    this.#providers = config.auth.providers.filter(({ clientId }) => clientId !== undefined).map(({ id }) => id);
    this.#origins = new Origins(config);
    this.#returns = new ReturnUrls(config);
    this.#corsOrigins = corsOrigins(config);
    this.#authorities = new Authorities(this.#origins.all);
  }

  urlFor(request: CheckRequest, rule: Rule): string | undefined {
    const usable = this.#usable(rule);
    if (usable.length === 0) return undefined;
    const page = `${request.scheme}://${request.host}${request.rawPath}`;
    // An address too long to come back with its query still leads back to its page.
    const back = this.#returns.accept(request.query === '' ? page : `${page}?${request.query}`);
    const target = back ?? this.#returns.accept(page);
    if (target === undefined) return undefined;
    const url = new URL(SIGN_IN_PATHS.signIn, this.#origins.forHost(request.host));
    url.searchParams.set('rd', target);
    if (usable.length < this.#providers.length) url.searchParams.set('providers', usable.join(','));
    return url.href;
  }

  urlForForm(request: CheckRequest, rule: Rule): string | undefined {
    const url = this.urlFor(request, rule);
    return url === undefined ? undefined : `${url}&form=1`;
  }

  wrongAddressOf(request: CheckRequest, rule: Rule): ReturnType<SignIn['wrongAddressOf']> {
    const origin = `${request.scheme}://${request.host}`;
    if (this.#usable(rule).length === 0 || this.#returns.accept(`${origin}/`) !== undefined) return undefined;
    const url = new URL(SIGN_IN_PATHS.wrongAddress, this.#origins.main);
    const page = origin + request.rawPath + (request.query === '' ? '' : `?${request.query}`);
    url.searchParams.set('from', page.length > MAX_FROM ? `${origin}/` : page);
    return { location: url.href, expected: [...this.#origins.all].join(' ') };
  }

  homeUrlFor(host: string): string {
    return new URL(SIGN_IN_PATHS.home, this.#origins.forHost(host)).href;
  }

  #usable(rule: Rule): readonly string[] {
    const offered = rule.signInProviders;
    return this.#providers.filter((id) => offered === undefined || offered.includes(id));
  }

  corsOriginOf({ headers }: CheckRequest): string | undefined {
    const origin = headers.get('origin');
    return typeof origin === 'string' && this.#corsOrigins.has(origin) ? origin : undefined;
  }

  isAt(host: string): boolean {
    return this.#authorities.has(host);
  }
}

/** Origins of pages that may use what is at other hosts behind us. */
export function corsOrigins({ publicUrl, auth }: Pick<Config, 'publicUrl' | 'auth'>): ReadonlySet<string> {
  return new Set([new URL(publicUrl).origin, ...auth.signIn.corsOrigins]);
}

/** The addresses at which people sign in: the public URL's, and one for each further cookie domain. */
export class Origins {
  readonly main: string;
  readonly all: ReadonlySet<string>;
  readonly #domains: readonly string[];

  constructor({ publicUrl, auth }: Pick<Config, 'publicUrl' | 'auth'>) {
    this.main = new URL(publicUrl).origin;
    this.all = new Set([this.main, ...auth.signIn.origins.map((origin) => new URL(origin).origin)]);
    this.#domains = auth.sessions.cookieDomains;
  }

  /** The one whose cookies a host gets. @param host canonical, perhaps with a port */
  forHost(host: string): string {
    const name = host.replace(/:\d+$/, '');
    const domain = this.#domains.find((candidate) => isWithin(name, candidate));
    if (domain === undefined) return this.main;
    return [...this.all].find((origin) => isWithin(new URL(origin).hostname, domain)) ?? this.main;
  }
}

function isWithin(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`);
}
