import type { Refusal } from '../refusal.ts';
import type { Credential, Fields, Origin, Outgoing } from './credential.ts';

/** Headers that are made here and do not have to be waited for; a refusal where the request must not go on. */
export type HeaderSource = (outgoing: Outgoing) => Fields | Refusal;

export interface OutgoingParts {
  /** Headers of the client's request that go on. */
  readonly passed: HeaderSource | undefined;
  /** What is said of the person. */
  readonly identity: readonly HeaderSource[];
  readonly credential: Credential | undefined;
  /** Whether the credential depends on what is known of the person, beside who it is. */
  readonly personal: boolean;
}

/** What one MCP server gets with every request beside what the protocol needs. */
export class OutgoingHeaders {
  readonly #passed: HeaderSource | undefined;
  readonly #sources: readonly HeaderSource[];
  readonly #credential: Credential | undefined;
  readonly #dependsOnIdentity: boolean;

  constructor({ passed, identity, credential, personal }: OutgoingParts) {
    this.#passed = passed;
    this.#sources = [...(passed === undefined ? [] : [passed]), ...identity];
    this.#credential = credential;
    this.#dependsOnIdentity = identity.length > 0 || personal;
  }

  /** Whether a 401 may lead to another credential. */
  get renews(): boolean {
    return this.#credential !== undefined;
  }

  /** Of a request, what its headers depend on: enough for another replica to make them. */
  origin({ identity, rawHeaders }: Origin): Origin | Refusal {
    const passed = this.#passed?.({ method: 'POST', caller: { identity, rawHeaders } }) ?? [];
    return 'status' in passed ? passed : { identity, rawHeaders: passed };
  }

  /**
   * Requests with the same key get the same headers, but for tokens that are renewed. What is opened with the headers of one must
   * not serve another.
   */
  key(caller: Origin): string {
    const origin = this.origin(caller);
    // Neither does one whose headers are refused get any, nor what it would be refused for.
    if ('status' in origin) return JSON.stringify(origin.message);
    return JSON.stringify([origin.rawHeaders, ...(this.#dependsOnIdentity ? [origin.identity] : [])]);
  }

  /** @throws DependencyUnavailable where the credential cannot be had */
  fields(outgoing: Outgoing): Fields | Refusal | Promise<Fields | Refusal> {
    const own = this.#own(outgoing);
    if ('status' in own || this.#credential === undefined) return own;
    const more = this.#credential.fields(outgoing);
    return more instanceof Promise ? more.then((found) => joined(own, found)) : joined(own, more);
  }

  /** As `Credential.renew`; `refused` as `fields` answered. */
  async renew(outgoing: Outgoing, refused: Fields, last: boolean): Promise<Fields | Refusal | undefined> {
    const own = this.#own(outgoing);
    if ('status' in own || this.#credential === undefined) return undefined;
    const more = await this.#credential.renew(outgoing, refused, last);
    return more === undefined ? undefined : joined(own, more);
  }

  #own(outgoing: Outgoing): Fields | Refusal {
    const all: string[] = [];
    for (const source of this.#sources) {
      const fields = source(outgoing);
      if ('status' in fields) return fields;
      all.push(...fields);
    }
    return all;
  }
}

function joined(own: Fields, more: Fields | Refusal): Fields | Refusal {
  return 'status' in more ? more : [...own, ...more];
}
