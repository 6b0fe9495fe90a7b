import type { Refusal } from '../refusal.ts';
import type { Credential, Fields, Outgoing } from './credential.ts';

/** Headers that are made here and do not have to be waited for; a refusal where the request must not go on. */
export type HeaderSource = (outgoing: Outgoing) => Fields | Refusal;

/** What one MCP server gets with every request beside what the protocol needs. */
export class OutgoingHeaders {
  readonly #sources: readonly HeaderSource[];
  readonly #credential: Credential | undefined;

  constructor(sources: readonly HeaderSource[], credential: Credential | undefined) {
    this.#sources = sources;
    this.#credential = credential;
  }

  /** Whether a 401 may lead to another credential. */
  get renews(): boolean {
    return this.#credential !== undefined;
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
