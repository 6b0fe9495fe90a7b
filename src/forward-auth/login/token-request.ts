/** Its time limit is the `signal` of each request, which `openid-client` sets. */
type Fetch = typeof fetch;

interface KeptAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/**
 * One request to a token endpoint, whose answer is kept apart from the checks of its ID token. The code or refresh token is spent
 * by the request (RFC 6749 §4.1.2, RFC 9700 §4.14.2), so that checks which need newer keys are repeated on the same answer, and a
 * new refresh token outlives checks that fail.
 */
export class TokenRequest {
  readonly #fetch: Fetch;
  #answer: KeptAnswer | undefined;

  constructor(fetcher: Fetch) {
    this.#fetch = fetcher;
  }

  /** For `openid-client`: a POST is the token request and is sent once; all else, such as a look-up of keys, passes. */
  readonly fetch: Fetch = async (url, options) => {
    if (options?.method !== 'POST') return this.#fetch(url, options);
    this.#answer ??= await keep(await this.#fetch(url, options));
    const { status, headers, body } = this.#answer;
    return new Response(body === '' ? null : body, { status, headers });
  };

  get answered(): boolean {
    return this.#answer !== undefined;
  }

  /** The refresh token of a successful answer, whatever its ID token is worth. */
  get refreshToken(): string | undefined {
    if (this.#answer === undefined || this.#answer.status !== 200) return undefined;
    try {
      const { refresh_token: token } = JSON.parse(this.#answer.body) as { refresh_token?: unknown };
      return typeof token === 'string' && token !== '' ? token : undefined;
    } catch {
      return undefined;
    }
  }
}

async function keep(response: Response): Promise<KeptAnswer> {
  const body = await response.text();
  const headers = new Headers(response.headers);
  // The body is text now, so what described its encoding and length on the wire is no longer true.
  for (const name of ['content-encoding', 'content-length', 'transfer-encoding']) headers.delete(name);
  return { status: response.status, headers, body };
}
