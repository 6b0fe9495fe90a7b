import { Agent, type Dispatcher, getGlobalDispatcher, request } from 'undici';

/** Where a visit ended. */
export interface Visited {
  readonly url: URL;
  readonly status: number;
  readonly text: string;
}

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
}

interface Sent {
  readonly form?: URLSearchParams;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a browser says of a person's own navigation. The built-in `fetch` cannot: it says that it is one. */
const NAVIGATION = { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };

/** A browser's cookies, redirects and forms without the browser, for tests of many people at once. */
export class HttpPerson {
  /** By host without port, as cookies are; then by name. */
  readonly #jar = new Map<string, Map<string, string>>();
  readonly #dispatcher: Dispatcher;

  /** @param from address of this machine to come from: on Linux all of 127.0.0.0/8 is */
  constructor(from?: string) {
    this.#dispatcher =
      from === undefined ? getGlobalDispatcher() : new Agent({ localAddress: from, connect: { family: 4 } });
  }

  /** The `Cookie` header for a host. */
  cookie(host: string): string {
    return [...(this.#jar.get(host) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** Goes wherever it is sent. */
  async visit(url: string | URL, sent: Sent = {}): Promise<Visited> {
    let at = new URL(url);
    let answer = await this.#request(at, sent);
    for (let hop = 0; hop < 20; hop++) {
      if (answer.location === undefined) return { url: at, status: answer.status, text: answer.text };
      at = new URL(answer.location, at);
      answer = await this.#request(at, {});
    }
    throw new Error(`sent around in circles, at last to ${at.origin}${at.pathname}`);
  }

  /** One request, without going on where it leads. */
  step(url: URL, sent: Sent = {}): Promise<Answer> {
    return this.#request(url, sent);
  }

  /** Sends the form of a page with its hidden fields. */
  async submit(page: Visited, values: Readonly<Record<string, string>> = {}): Promise<Visited> {
    const [, tag, fields = ''] = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(page.text) ?? [];
    if (tag === undefined) throw new Error(`no form at ${page.url.origin}${page.url.pathname} (${page.status})`);
    const form = new URLSearchParams();
    for (const [input] of fields.matchAll(/<input\b[^>]*>/gi))
      if (/type="?hidden/i.test(input)) form.set(attribute(input, 'name'), attribute(input, 'value'));
    for (const [name, value] of Object.entries(values)) form.set(name, value);
    const headers = { Origin: page.url.origin, 'Sec-Fetch-Site': 'same-origin' };
    // A form without an action goes to its own page.
    return this.visit(new URL(attribute(tag, 'action') || page.url, page.url), { form, headers });
  }

  /** Opens a page that needs signing in, and signs in at the provider of the tests. */
  async signIn(url: string, user: string): Promise<URL> {
    const asked = await this.visit(url);
    if (!asked.url.pathname.startsWith('/interaction/'))
      throw new Error(`no sign-in page but ${asked.status} at ${asked.url.origin}${asked.url.pathname}: ${asked.text}`);
    return (await this.submit(asked, { user, do: 'go' })).url;
  }

  async #request(url: URL, { form, headers }: Sent): Promise<Answer> {
    const cookie = this.cookie(url.hostname);
    const answer = await request(url, {
      dispatcher: this.#dispatcher,
      method: form === undefined ? 'GET' : 'POST',
      headers: {
        ...NAVIGATION,
        ...(cookie === '' ? {} : { Cookie: cookie }),
        ...(form === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      ...(form === undefined ? {} : { body: form.toString() }),
    });
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) this.#keep(url.hostname, line);
    const { location } = answer.headers;
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      location: typeof location === 'string' ? location : refreshOf(text),
      text,
    };
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

/** Where a page goes on to by itself at once. */
function refreshOf(page: string): string | undefined {
  const [tag] = /<meta http-equiv="refresh"[^>]*>/i.exec(page) ?? [];
  return tag === undefined ? undefined : attribute(tag, 'content').replace(/^0;url=/, '');
}

function attribute(tag: string, name: string): string {
  const [, quoted, bare] = new RegExp(`\\b${name}=(?:"([^"]*)"|([^\\s>]+))`, 'i').exec(tag) ?? [];
  const text = quoted ?? bare ?? '';
  return text
    .replace(/&#x([0-9a-f]+);/gi, (_whole, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/&#(\d+);/g, (_whole, code: string) => String.fromCharCode(Number(code)))
    .replaceAll('&amp;', '&');
}
