/** A browser's cookies and redirects without the browser, for tests of many people at once. */
export class HttpPerson {
  /** By host without port, as cookies are; then by name. */
  readonly #jar = new Map<string, Map<string, string>>();

  cookie(host: string): string {
    return [...(this.#jar.get(host) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** One request, without following its redirect. */
  async request(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const { hostname } = new URL(url);
    const headers = new Headers(init.headers);
    const cookie = this.cookie(hostname);
    if (cookie !== '') headers.set('Cookie', cookie);
    if (!headers.has('Accept')) headers.set('Accept', 'text/html');
    const answer = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) this.#keep(hostname, line);
    return answer;
  }

  /** Goes wherever it is sent. @returns where it ended */
  async visit(url: string | URL, init: RequestInit = {}): Promise<{ url: URL; status: number; text: string }> {
    let at = new URL(url);
    let answer = await this.request(at, init);
    for (let hop = 0; hop < 20; hop++) {
      const location = answer.headers.get('location');
      if (location === null) return { url: at, status: answer.status, text: await answer.text() };
      await answer.body?.cancel();
      at = new URL(location, at);
      answer = await this.request(at);
    }
    throw new Error(`sent around in circles, at last to ${at.origin}${at.pathname}`);
  }

  /** Opens a page that needs signing in, and signs in at the provider of the tests. */
  async signIn(url: string, user: string): Promise<URL> {
    const asked = await this.visit(url);
    if (!asked.url.pathname.startsWith('/interaction/'))
      throw new Error(`no sign-in page but ${asked.status} at ${asked.url.origin}${asked.url.pathname}: ${asked.text}`);
    const back = await this.visit(asked.url, { method: 'POST', body: new URLSearchParams({ user, do: 'go' }) });
    return back.url;
  }

  #keep(host: string, line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals);
    const value = pair.slice(equals + 1);
    const cookies = this.#jar.get(host) ?? new Map<string, string>();
    this.#jar.set(host, cookies);
    const gone = attributes.some((text) => /^max-age=0$/i.test(text) || /^expires=.*\b1970\b/i.test(text));
    if (gone || value === '') cookies.delete(name);
    else cookies.set(name, value);
  }
}
