import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { oauthTarget } from '../../decision/oauth-endpoints.ts';
import { hostCookieName } from '../../sessions/cookie.ts';

/** oidc-provider's names for its cookies. None of them is ever sent. */
export const LIBRARY_COOKIES = { session: 'session', interaction: 'interaction', resume: 'resume' } as const;

/** Authorizations that one browser can have under way; of more the oldest end. */
const MAX_PER_BROWSER = 16;

/**
 * The cookies by which a browser proves that it began an authorization, in the place of oidc-provider's: `__Host-`, so that no
 * neighbouring host can plant one and make somebody answer for an authorization that is not theirs. Such a cookie has no path of
 * its own (RFC 6265bis §4.1.3.2), so its name says which authorization it is for, and it serves our page and the way back.
 *
 * @param sessionCookie name of the session's cookie
 * @param now Unix time in milliseconds
 */
export function useInteractionCookies(provider: Provider, sessionCookie: string, now: () => number): void {
  const prefix = hostCookieName(sessionCookie, 'oauth-');
  const create = provider.createContext.bind(provider);
  provider.createContext = ((req: IncomingMessage, res: ServerResponse) =>
    Object.assign(create(req, res), {
      cookies: new InteractionCookies(prefix, req, res, now),
    })) as typeof provider.createContext;
}

/** What oidc-provider sees in the place of Koa's cookies, for one request. */
class InteractionCookies {
  /** Written by oidc-provider. Ours are secure whatever it says. */
  secure = true;
  readonly #prefix: string;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #now: () => number;

  constructor(prefix: string, req: IncomingMessage, res: ServerResponse, now: () => number) {
    this.#prefix = prefix;
    this.#req = req;
    this.#res = res;
    this.#now = now;
  }

  /** @returns the id in the address, where this browser began that authorization. The session's is never asked back. */
  get(name: string): string | undefined {
    const { endpoint, id } = this.#asked();
    if (name !== (endpoint === 'interaction' ? LIBRARY_COOKIES.interaction : LIBRARY_COOKIES.resume)) return undefined;
    return this.#begun().some((begun) => begun.id === id) ? id : undefined;
  }

  /** Each authorization is asked for anew, so nothing of the library's own session is kept in the browser. */
  set(name: string, value: string | null | undefined, { maxAge = 0 }: { readonly maxAge?: number } = {}): void {
    if (name === LIBRARY_COOKIES.interaction && value) this.#begin(value, maxAge);
    if (name === LIBRARY_COOKIES.resume && !value) this.#send(this.#asked().id, '', 0);
  }

  #begin(id: string, maxAge: number): void {
    const begun = this.#begun().toSorted((a, b) => a.at - b.at);
    for (const { id: oldest } of begun.slice(0, Math.max(0, begun.length - MAX_PER_BROWSER + 1)))
      this.#send(oldest, '', 0);
    this.#send(id, String(this.#now()), Math.floor(maxAge / 1_000));
  }

  /** The authorization that the address names. */
  #asked(): { readonly endpoint: string | undefined; readonly id: string } {
    const target = oauthTarget((this.#req.url ?? '').split('?')[0] as string, false);
    return { endpoint: target?.endpoint, id: target?.path.split('/').at(-1) ?? '' };
  }

  #begun(): Array<{ readonly id: string; readonly at: number }> {
    return (this.#req.headers.cookie ?? '')
      .split(';')
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(this.#prefix))
      .map((pair) => pair.slice(this.#prefix.length).split('='))
      .map(([id = '', at]) => ({ id, at: Number(at) || 0 }))
      .filter(({ id }) => /^[\w-]+$/.test(id));
  }

  #send(id: string, value: string, seconds: number): void {
    const scope = `Path=/; Max-Age=${seconds}; HttpOnly; Secure; SameSite=Lax`;
    this.#res.appendHeader('Set-Cookie', `${this.#prefix}${id}=${value}; ${scope}`);
  }
}
