import type { SessionsConfig } from '../../platform/config/schema.ts';

/** A `Cookie` header with different values under our name: one of them is not ours (cookie tossing). */
export const CONFLICT = Symbol('conflicting session cookies');

/** Values looked at in one header; a browser has one. */
const MAX_VALUES = 4;
const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const;

export type CookieSettings = Pick<SessionsConfig, 'cookie' | 'cookieDomains' | 'sameSite' | 'partitioned'>;

/**
 * Name of a cookie beside the session's that only this host gets, so that no neighbouring domain can plant one: `__Host-`
 * whatever the session's own name promises (RFC 6265bis §4.1.3.2).
 */
export function hostCookieName(sessionCookie: string, suffix: string): string {
  return `__Host-${baseOf(sessionCookie)}-${suffix}`;
}

function baseOf(sessionCookie: string): string {
  return sessionCookie.replace(/^__(?:Host|Secure)-/, '');
}

/** The one owner of the session cookie's text (RFC 6265, RFC 6265bis §4.1.3 for `__Host-`). */
export class SessionCookie {
  readonly #settings: CookieSettings;
  readonly #name: string;
  readonly #base: string;
  /** Of the cookies beside it. */
  readonly #beside: string;
  /** Most specific first. */
  readonly #domains: readonly string[];

  constructor(settings: CookieSettings) {
    this.#settings = settings;
    this.#name = settings.cookie;
    this.#base = baseOf(settings.cookie);
    this.#beside = hostCookieName(settings.cookie, '');
    this.#domains = settings.cookieDomains.toSorted((a, b) => b.length - a.length);
  }

  /**
   * The value under exactly our name, whatever it is.
   *
   * @param header the request's `Cookie`
   * @returns undefined where there is none
   */
  read(header: string | undefined): string | undefined | typeof CONFLICT {
    if (header === undefined) return undefined;
    let found: string | undefined;
    for (let start = header.indexOf(this.#name); start !== -1; start = header.indexOf(this.#name, start + 1)) {
      const value = this.#valueAt(header, start);
      if (value === undefined) continue;
      if (found !== undefined && found !== value) return CONFLICT;
      found = value;
    }
    return found;
  }

  /** Every different value under our name, a few at most: what signing in replaces. */
  readAll(header: string | undefined): string[] {
    const values = new Set<string>();
    for (const pair of header?.split(';') ?? []) {
      const equals = pair.indexOf('=');
      if (nameOf(pair) === this.#name && values.size < MAX_VALUES)
        values.add(equals === -1 ? '' : pair.slice(equals + 1).trim());
    }
    return [...values];
  }

  /**
   * What of a `Cookie` header may go on upstream: neither the session nor what signing in leaves behind.
   *
   * @returns undefined where nothing of it is ours; empty where nothing else is in it
   */
  stripped(header: string | undefined): string | undefined {
    if (header === undefined || !header.includes(this.#base)) return undefined;
    const pairs = header.split(';');
    const rest = pairs.filter((pair) => !this.#isOurs(nameOf(pair)));
    return rest.length === pairs.length ? undefined : rest.join(';').trim();
  }

  /**
   * @param maxAge milliseconds
   * @param host of the request, with or without port
   */
  set(value: string, maxAge: number, host: string): string {
    return this.#text(value, Math.max(1, Math.round(maxAge / 1000)), this.#domainFor(host));
  }

  /** Removes it from wherever a present or former setting may have put it. */
  removal(host: string): readonly string[] {
    const domain = this.#domainFor(host);
    return domain === undefined
      ? [this.#text('', 0, undefined)]
      : [this.#text('', 0, domain), this.#text('', 0, undefined)];
  }

  #text(value: string, seconds: number, domain: string | undefined): string {
    const { sameSite, partitioned } = this.#settings;
    const scope = domain === undefined ? '' : `; Domain=${domain}`;
    const last = partitioned ? '; Partitioned' : '';
    const same = SAME_SITE[sameSite];
    return `${this.#name}=${value}; Max-Age=${seconds}; Path=/${scope}; Secure; HttpOnly; SameSite=${same}${last}`;
  }

  #domainFor(host: string): string | undefined {
    const name = host.replace(/:\d+$/, '').toLowerCase();
    return this.#domains.find((domain) => name === domain || name.endsWith(`.${domain}`));
  }

  /** The value where the name at this place is a cookie's whole name. Splitting the header would cost more than the rest. */
  #valueAt(header: string, start: number): string | undefined {
    const equals = start + this.#name.length;
    if (header.charCodeAt(equals) !== 0x3d) return undefined;
    let before = start - 1;
    while (before >= 0 && isSpace(header.charCodeAt(before))) before--;
    if (before >= 0 && header.charCodeAt(before) !== 0x3b) return undefined;
    const end = header.indexOf(';', equals);
    return header.slice(equals + 1, end === -1 ? undefined : end).trimEnd();
  }

  #isOurs(name: string): boolean {
    return name === this.#name || name.startsWith(this.#beside);
  }
}

function nameOf(pair: string): string {
  const equals = pair.indexOf('=');
  return (equals === -1 ? pair : pair.slice(0, equals)).trim();
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
