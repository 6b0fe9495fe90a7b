import { encodeValue, type ListDelimiter } from './headers.ts';
import type { Identity } from './identity.ts';

type Field = 'user' | 'email' | 'name' | 'groups';
type Names = ReadonlyArray<readonly [header: string, field: Field]>;

/**
 * The headers by which other products pass an identity, and what we put into each. A "preferred username" is a handle
 * that applications tell people apart by, so it holds the subject: a name that people choose themselves would let one
 * become another.
 */
export const PRESET_HEADERS = {
  // oauth2-proxy: `--set-xauthrequest` on the answer of `/oauth2/auth`, `--pass-user-headers` towards the upstream.
  'oauth2-proxy': [
    ['X-Auth-Request-User', 'user'],
    ['X-Auth-Request-Email', 'email'],
    ['X-Auth-Request-Preferred-Username', 'user'],
    ['X-Auth-Request-Groups', 'groups'],
    ['X-Forwarded-User', 'user'],
    ['X-Forwarded-Email', 'email'],
    ['X-Forwarded-Preferred-Username', 'user'],
    ['X-Forwarded-Groups', 'groups'],
  ],
  authelia: [
    ['Remote-User', 'user'],
    ['Remote-Email', 'email'],
    ['Remote-Name', 'name'],
    ['Remote-Groups', 'groups'],
  ],
  'x-forwarded-user': [
    ['X-Forwarded-User', 'user'],
    ['X-Forwarded-Email', 'email'],
  ],
  // Grafana's `auth.proxy`, with the names of its documentation.
  grafana: [
    ['X-WEBAUTH-USER', 'user'],
    ['X-WEBAUTH-EMAIL', 'email'],
    ['X-WEBAUTH-NAME', 'name'],
    ['X-WEBAUTH-GROUPS', 'groups'],
  ],
} as const satisfies Readonly<Record<string, Names>>;

export type PresetName = keyof typeof PRESET_HEADERS;

/** Grafana splits its groups at spaces as well, and reads brackets and quotes as a JSON list. */
const GRAFANA_STRUCTURE = /[\s,"[\]]/g;

/** Writes an identity under the names of the presets that any rule uses. */
export class PresetHeaders {
  readonly #names: ReadonlyMap<string, Field>;
  readonly #delimiter: ListDelimiter;

  /** @param emitted every preset that an allow can carry */
  constructor(emitted: readonly PresetName[], delimiter: ListDelimiter = ',') {
    this.#names = new Map(emitted.flatMap((preset) => [...(PRESET_HEADERS[preset] as Names)]));
    this.#delimiter = delimiter;
  }

  /** Every name that an answer carries, in the order in which they are sent. */
  get names(): string[] {
    return [...this.#names.keys()];
  }

  /**
   * Every name, because a proxy overwrites only what it is given: empty where it belongs to none of `wanted`.
   *
   * @param wanted the presets of the rule that allowed the request
   * @returns names and values alternating; values are safe for a header field
   */
  write(identity: Identity, wanted: readonly PresetName[] = []): string[] {
    const sent = new Set(wanted.flatMap((preset) => (PRESET_HEADERS[preset] as Names).map(([name]) => name)));
    const headers: string[] = [];
    for (const [name, field] of this.#names)
      headers.push(name, sent.has(name) ? this.#value(identity, name, field) : '');
    return headers;
  }

  #value(identity: Identity, name: string, field: Field): string {
    if (field === 'user') return encodeValue(identity.subject);
    if (field !== 'groups') return encodeValue(identity[field]);
    const groups = identity.groups.filter((group) => group !== '').map((group) => encodeValue(group, this.#delimiter));
    if (name !== 'X-WEBAUTH-GROUPS') return groups.join(this.#delimiter);
    // Here the delimiter is not ours to choose.
    return groups.map((group) => group.replace(GRAFANA_STRUCTURE, encodeURIComponent)).join(',');
  }
}
