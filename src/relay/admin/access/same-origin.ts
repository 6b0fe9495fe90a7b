import type { IncomingMessage } from 'node:http';

/** Whether a request is from a page of ours, or from no page at all. Origins that may use MCP servers are not ours. */
export class SameOrigin {
  readonly #origin: string;

  constructor(publicUrl: string) {
    this.#origin = new URL(publicUrl).origin;
  }

  /** Nothing says that another site's page sent it. */
  isNotForeign({ headers }: IncomingMessage): boolean {
    const { origin, host } = headers;
    if (origin !== undefined && !this.#isOwn(origin, host)) return false;
    const site = headers['sec-fetch-site'];
    // Following a link to a page is no attack; reading or changing something from elsewhere is.
    return site === undefined || site === 'same-origin' || site === 'none' || headers['sec-fetch-mode'] === 'navigate';
  }

  /** A page of ours sent it: browsers say so with every form (Fetch, "append a request Origin header"). */
  isOwnForm({ headers }: IncomingMessage): boolean {
    const site = headers['sec-fetch-site'];
    return (
      headers.origin !== undefined &&
      this.#isOwn(headers.origin, headers.host) &&
      (site ?? 'same-origin') === 'same-origin'
    );
  }

  #isOwn(origin: string, host: string | undefined): boolean {
    if (origin === this.#origin) return true;
    return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
  }
}
