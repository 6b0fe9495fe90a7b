import type { RelayConfig } from '../../platform/config/schema.ts';
import { DependencyUnavailable, PosternError } from '../../platform/errors.ts';

/** Milliseconds. */
const TIMEOUT = 5_000;

/** Asks the operator API of forward-auth for what the relay cannot see otherwise. */
export class ForwardAuthOperator {
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
  async sessions(method: 'GET' | 'DELETE', of: Readonly<Record<string, string>>): Promise<unknown> {
    const target = 'key' in of ? `/sessions/${of.key}` : `/sessions?${new URLSearchParams(of)}`;
    const response = await this.#send(target, method);
    if (response.status === 404 && 'key' in of)
      throw new PosternError('not_found', 'there is no such session: it may have ended already', {
        status: 404,
        expose: true,
      });
    return this.#read(response);
  }

  /** What it refused lately. @throws as `sessions` */
  async denials(wanted: Readonly<Record<string, string>>): Promise<unknown> {
    return this.#read(await this.#send(`/denials?${new URLSearchParams(wanted)}`, 'GET'));
  }

  async #read(response: Response): Promise<unknown> {
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

  async #send(target: string, method: 'GET' | 'DELETE'): Promise<Response> {
    if (this.#access?.token === undefined)
      throw new PosternError('not_enabled', 'set relay.admin.forwardAuth: forward-auth is asked for this', {
        status: 404,
        expose: true,
      });
    const { url, token } = this.#access;
    try {
      return await this.#fetch(new URL(target, url), {
        ...{ method, headers: { Authorization: `Bearer ${token[0]}` } },
        ...{ redirect: 'error', signal: AbortSignal.timeout(TIMEOUT) },
      });
    } catch (cause) {
      throw new DependencyUnavailable('forward-auth', cause);
    }
  }
}
