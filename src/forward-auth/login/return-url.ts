import type { Config } from '../../platform/config/schema.ts';
import { INTERACTION_PATH } from '../decision/oauth-endpoints.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';

type Settings = Pick<Config, 'publicUrl'> & { readonly auth: Pick<Config['auth'], 'signIn'> };

/** Characters. It comes back in the state of an attempt, whose address providers must take. */
const MAX_LENGTH = 4_096;
/** Visible ASCII without the backslash, which browsers read as a slash (WHATWG URL §4.4). */
const PLAIN = /^[\x21-\x5b\x5d-\x7e]+$/;
/** A path whose second character is no slash, however it is written: `//host` names a host. */
const LOCAL = /^\/(?!\/|%2f|%5c|%0|%1|%7f)/i;
/** No user information, no path parameters in the authority, and exactly two slashes. */
const ABSOLUTE =
  /^https?:\/\/[A-Za-z0-9._-]+(?::[0-9]{1,5})?(?:[/?#]|$)|^https?:\/\/\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?(?:[/?#]|$)/i;

/** The one place that decides where a browser may be sent after signing in or out. */
export class ReturnUrls {
  /** Where people go who came from nowhere in particular. */
  readonly fallback: string;
  readonly #publicOrigin: string;
  readonly #origins: ReadonlySet<string>;
  readonly #hosts: readonly string[];
  readonly #plainHttp: boolean;

  constructor({ publicUrl, auth }: Settings) {
    const url = new URL(publicUrl);
    this.fallback = `${url.origin}${url.pathname.replace(/\/+$/, '')}/`;
    this.#publicOrigin = url.origin;
    this.#origins = new Set([url.origin, ...auth.signIn.origins.map((origin) => new URL(origin).origin)]);
    this.#hosts = auth.signIn.allowedReturnHosts.map((host) => host.toLowerCase());
    this.#plainHttp = url.protocol === 'http:';
  }

  /**
   * @param text an absolute URL, or an absolute path at the public URL
   * @returns the absolute URL, as a browser would write it; undefined where it leads to nowhere of ours, or back to our
   *   own endpoints, which would go round in circles; home, one's own sessions and a consent are pages like any other
   */
  accept(text: string | undefined): string | undefined {
    if (text === undefined || text.length > MAX_LENGTH || !PLAIN.test(text)) return undefined;
    const local = LOCAL.test(text);
    if (!local && !ABSOLUTE.test(text)) return undefined;
    const whole = local ? this.#publicOrigin + text : text;
    if (!URL.canParse(whole)) return undefined;
    const url = new URL(whole);
    if (url.username !== '' || url.password !== '' || !this.#isOurs(url)) return undefined;
    if (!LOCAL.test(url.pathname) || isOwnEndpoint(url.pathname)) return undefined;
    return url.href;
  }

  acceptOrFallback(text: string | undefined): string {
    return this.accept(text) ?? this.fallback;
  }

  #isOurs(url: URL): boolean {
    if (this.#origins.has(url.origin)) return true;
    if (url.protocol !== 'https:' && !this.#plainHttp) return false;
    return this.#hosts.some((allowed) =>
      allowed.startsWith('*.') ? isOneLabelBelow(url.host, allowed.slice(1)) : url.host === allowed,
    );
  }
}

function isOneLabelBelow(host: string, suffix: string): boolean {
  const label = host.slice(0, -suffix.length);
  return host.endsWith(suffix) && label !== '' && /^[a-z0-9_-]+$/.test(label);
}

function isOwnEndpoint(path: string): boolean {
  if (path === SIGN_IN_PATHS.sessions || path === SIGN_IN_PATHS.home) return false;
  if (path.startsWith(`${INTERACTION_PATH}/`) && /^[\w/-]+$/.test(path)) return false;
  try {
    return /^\/+_postern(?:\/|$)/i.test(decodeURIComponent(path));
  } catch {
    return true;
  }
}
