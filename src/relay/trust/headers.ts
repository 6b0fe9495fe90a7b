import { classifyHeader, foldHeaderName } from '../../identity/headers.ts';
import type { Refusal } from '../refusal.ts';

/** What one header name means to the relay's own decisions. */
type Role = 'identity' | 'unread' | 'alias' | 'foreign' | 'decisive' | 'credential' | 'listing' | 'none';
interface Meaning {
  readonly role: Role;
  readonly name: string;
}

/**
 * Headers that decide something here. One that comes twice could be read in one way by us and in another by whoever
 * stands before or behind, so it is refused.
 */
const DECISIVE: ReadonlySet<string> = new Set([
  'host',
  'x-forwarded-host',
  'authorization',
  'origin',
  'content-type',
  'mcp-session-id',
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
]);

/** Credentials that other products check. Whether one came tells how they know a person; what it says decides nothing here. */
const CREDENTIALS: ReadonlySet<string> = new Set(['cookie', 'proxy-authorization']);

/** Names are the client's invention, so what is remembered about them is bounded. */
const MAX_REMEMBERED = 1000;

/** What the relay took from one request's headers; nothing else of them decides anything. */
export interface RequestHeaders {
  /** Looks up by lower-case name. */
  get(lowerCaseName: string): string | undefined;
  /** At least one identity header has a value. */
  readonly claimsIdentity: boolean;
  /** An identity header of ours has a value, which the configured preset does not read. */
  readonly unread: boolean;
  /** Another product's identity header that has a value: a hint for the operator, never an identity. */
  readonly foreign: string | undefined;
  /** A header that decides came twice. Refused in every configuration. */
  readonly ambiguity: Refusal | undefined;
  /** An identity header in a form that no honest proxy sends. Refused wherever identity headers are read at all. */
  readonly forgery: Refusal | undefined;
}

/** Reads `rawHeaders` in one pass: Node's own view joins or drops duplicates, each header by a rule of its own. */
export class HeaderScanner {
  readonly #meanings = new Map<string, Meaning>();
  readonly #identity: ReadonlySet<string>;
  readonly #secretHeader: string;
  readonly #folded: ReadonlySet<string>;

  /** @param names `identity`: every header that the configured preset reads */
  constructor(names: { identity: readonly string[]; secretHeader: string }) {
    this.#identity = new Set(names.identity.map((name) => name.toLowerCase()));
    this.#secretHeader = names.secretHeader.toLowerCase();
    this.#folded = new Set(names.identity.map(foldHeaderName));
  }

  scan(rawHeaders: readonly string[]): RequestHeaders {
    const values = new Map<string, string>();
    let claimsIdentity = false;
    let unread = false;
    let foreign: string | undefined;
    let ambiguity: Refusal | undefined;
    let forgery: Refusal | undefined;
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const { role, name } = this.#meaning(rawHeaders[index] as string);
      if (role === 'none') continue;
      const value = rawHeaders[index + 1] as string;
      if (role === 'foreign') {
        if (value !== '') foreign ??= name;
      } else if (role === 'credential') {
        values.set(name, values.get(name) || value);
      } else if (role === 'alias') {
        claimsIdentity ||= value !== '';
        forgery ??= refuse('header_alias', 'a header of the request imitates an identity header');
      } else if (role === 'listing') {
        if (this.#listsIdentity(value))
          forgery ??=
            name === 'trailer'
              ? refuse('header_trailer', 'an identity header was announced as a trailer')
              : refuse('header_connection', 'the Connection header names an identity header');
      } else {
        if (role !== 'decisive') claimsIdentity ||= value !== '';
        if (role === 'unread') unread ||= value !== '';
        if (values.has(name)) {
          const refusal = refuse('duplicate_header', `the header ${name} came twice`);
          if (role === 'decisive') ambiguity ??= refusal;
          else forgery ??= refusal;
        } else values.set(name, value);
      }
    }
    return { get: (name) => values.get(name), claimsIdentity, unread, foreign, ambiguity, forgery };
  }

  #listsIdentity(value: string): boolean {
    return value.split(',').some((name) => {
      const { role } = this.#meaning(name.trim());
      return role === 'identity' || role === 'unread' || role === 'alias';
    });
  }

  #meaning(received: string): Meaning {
    const known = this.#meanings.get(received);
    if (known !== undefined) return known;
    const meaning = this.#classify(received.toLowerCase());
    if (this.#meanings.size < MAX_REMEMBERED) this.#meanings.set(received, meaning);
    return meaning;
  }

  #classify(name: string): Meaning {
    if (name === 'connection' || name === 'trailer') return { role: 'listing', name };
    if (this.#identity.has(name)) return { role: 'identity', name };
    if (name === this.#secretHeader || DECISIVE.has(name)) return { role: 'decisive', name };
    if (CREDENTIALS.has(name)) return { role: 'credential', name };
    const kind = classifyHeader(name, this.#folded);
    return { role: kind === 'identity' ? 'unread' : kind, name };
  }
}

function refuse(reason: Refusal['reason'], message: string): Refusal {
  return {
    status: 400,
    reason,
    message,
    fix: 'no honest client or proxy sends this; configure the proxy to remove it (Traefik: aliasHeadersStrategy, Envoy: header_mutation)',
  };
}
