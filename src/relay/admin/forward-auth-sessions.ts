import type { RelayConfig } from '../../platform/config/schema.ts';
import { DependencyUnavailable, PosternError } from '../../platform/errors.ts';

/** Milliseconds. */
const TIMEOUT = 5_000;

/** Asks the operator API of forward-auth, whose sessions are not the relay's to see otherwise. */
export class ForwardAuthSessions {
  readonly #access: RelayConfig['admin']['forwardAuth'];
  readonly #fetch: typeof fetch;

  constructor(access: RelayConfig['admin']['forwardAuth'], fetcher: typeof fetch) {
    this.#access = access;
    this.#fetch = fetcher;
  }

  get reachable(): boolean {
    return this.#access !== undefined;
  }

  /** @throws PosternError where it is not set up or says no, DependencyUnavailable where it does not answer */
  async ask(method: 'GET' | 'DELETE', of: { issuer: string; subject: string } | { key: string }): Promise<unknown> {
    if (this.#access === undefined)
      throw new PosternError('not_enabled', 'set relay.admin.forwardAuth: sessions are forward-auth’s', {
        status: 404,
        expose: true,
      });
    const { url, token } = this.#access;
    const target = 'key' in of ? `/sessions/${of.key}` : `/sessions?${new URLSearchParams(of)}`;
    const response = await this.#send(new URL(target, url), {
      method,
      headers: { Authorization: `Bearer ${token[0]}` },
    });
    if (response.status === 404 && 'key' in of)
      throw new PosternError('not_found', 'there is no such session: it may have ended already', {
        status: 404,
        expose: true,
      });
    if (response.status >= 500) throw new DependencyUnavailable('forward-auth');
    if (!response.ok)
      throw new PosternError(
        'forward_auth',
        `forward-auth answers ${response.status}: is relay.admin.forwardAuth.token its auth.operatorToken?`,
        {
          status: 502,
          expose: true,
        },
      );
    return response.json();
  }

  async #send(url: URL, init: RequestInit): Promise<Response> {
    try {
      return await this.#fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT) });
    } catch (cause) {
      throw new DependencyUnavailable('forward-auth', cause);
    }
  }
}
