import { request } from 'node:http';
import { request as requestTls } from 'node:https';

interface Init {
  readonly method?: string;
  readonly form?: Record<string, string>;
  readonly headers?: Record<string, string>;
}

/** Node's `fetch` would say `Sec-Fetch-Mode: cors`, which no navigation does. */
function send(
  url: string,
  method: string,
  form: Record<string, string> | undefined,
  headers: Record<string, string>,
): Promise<Response> {
  const body = form && new URLSearchParams(form).toString();
  const type = body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
  return new Promise((resolve, reject) => {
    const ask = url.startsWith('https:') ? requestTls : request;
    // A provider of a test has an authority of that test.
    const options = { method, headers: { ...type, ...headers }, rejectUnauthorized: false };
    const outgoing = ask(url, options, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const answered = new Headers();
        const raw = incoming.rawHeaders;
        for (let i = 0; i < raw.length; i += 2) answered.append(raw[i] as string, raw[i + 1] as string);
        const status = incoming.statusCode ?? 0;
        const text = Buffer.concat(chunks).toString('utf8');
        resolve(new Response(status === 204 || status === 304 ? null : text, { status, headers: answered }));
      });
    });
    outgoing.setTimeout(20_000, () => outgoing.destroy(new Error(`no answer to ${url}`)));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** A browser as far as cookies and redirects go: a jar by origin, one hop at a time. */
export class Jar {
  readonly #cookies = new Map<string, Map<string, string>>();

  cookies(origin: string): Map<string, string> {
    let found = this.#cookies.get(origin);
    if (found === undefined) {
      found = new Map();
      this.#cookies.set(origin, found);
    }
    return found;
  }

  async hop(url: string, init: Init = {}): Promise<Response> {
    const jar = this.cookies(new URL(url).origin);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await send(url, init.method ?? 'GET', init.form, {
      accept: 'text/html',
      ...(cookie === '' ? {} : { cookie }),
      ...init.headers,
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) as unknown as [string, string, string];
      if (/max-age=0|expires=Thu, 01 Jan 1970/i.test(line) || value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return answer;
  }

  /** Follows redirects until one leads to an address that matches. @returns that address */
  async until(url: string, wanted: RegExp): Promise<string> {
    let at = url;
    for (let hops = 0; hops < 12; hops++) {
      const answer = await this.hop(at);
      const location = answer.headers.get('location');
      if (location === null) throw new Error(`${at} answered ${answer.status}: ${(await answer.text()).slice(0, 600)}`);
      at = new URL(location, at).href;
      if (wanted.test(at)) return at;
    }
    throw new Error(`too many redirects, now at ${at}`);
  }

  post(url: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    return this.hop(url, { method: 'POST', form, headers });
  }
}
