import { canonicalHost } from '../../../src/forward-auth/decision/target.ts';
import { foldHeaderName } from '../../../src/identity/headers.ts';
import type { Asked } from './check-tap.ts';
import { type Seen, valuesOf } from './witness.ts';

/** All of a request that forward-auth, the relay or an application goes by. */
interface Understood {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  /** In order: RFC 9113 §8.2.3 lets proxies split and join the header itself. */
  readonly cookies: readonly string[];
  readonly authorization: readonly string[];
  /** By the names that a program takes for the same one. */
  readonly mcp: readonly string[];
}

/**
 * Compares what forward-auth allowed with what reached the upstream. Each allowed question accounts for one request there;
 * one that nothing accounts for is another request than the judged one.
 */
export class Differential {
  /** Of allowed questions that no request was accounted to, how many say the same. */
  readonly #allowed = new Map<string, number>();

  allow(asked: Asked): void {
    const key = JSON.stringify(judged(asked));
    this.#allowed.set(key, (this.#allowed.get(key) ?? 0) + 1);
  }

  /** @returns whether a question that says the same was allowed, and accounts for no other request */
  agrees(seen: Seen, scheme: 'http' | 'https'): boolean {
    const key = JSON.stringify(arrived(seen, scheme));
    const left = this.#allowed.get(key) ?? 0;
    if (left > 0) this.#allowed.set(key, left - 1);
    return left > 0;
  }

  /** For a failure: the fields in which the nearest allowed question differs. */
  difference(seen: Seen, scheme: 'http' | 'https'): string {
    const one = arrived(seen, scheme);
    const fields = Object.keys(one) as Array<keyof Understood>;
    const differing = [...this.#allowed]
      .filter(([, left]) => left > 0)
      .map(([key]) => {
        const other = JSON.parse(key) as Understood;
        return fields
          .filter((field) => JSON.stringify(one[field]) !== JSON.stringify(other[field]))
          .map((field) => `${field}: judged ${JSON.stringify(other[field])}, arrived ${JSON.stringify(one[field])}`);
      })
      .sort((a, b) => a.length - b.length);
    return (differing[0] ?? ['nothing is left that was allowed']).join('; ');
  }
}

function judged({ request, raw, cookie }: Asked): Understood {
  const { method, host, rawPath: path, query } = request;
  return {
    ...{ method, host, path, query },
    cookies: cookiesOf(cookie === undefined ? valuesOf(raw, 'cookie') : [cookie]),
    authorization: valuesOf(raw, 'authorization').map(bare),
    mcp: mcpOf(raw),
  };
}

function arrived({ method, url, rawHeaders }: Seen, scheme: 'http' | 'https'): Understood {
  const mark = url.indexOf('?');
  return {
    method,
    host: valuesOf(rawHeaders, 'host')
      .map((host) => canonicalHost(host, scheme))
      .join(),
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? '' : url.slice(mark + 1),
    cookies: cookiesOf(valuesOf(rawHeaders, 'cookie')),
    authorization: valuesOf(rawHeaders, 'authorization').map(bare),
    mcp: mcpOf(rawHeaders),
  };
}

/** Space around a value is not of it (RFC 9110 §5.5). */
const bare = (value: string) => value.replace(/^[ \t]+|[ \t]+$/g, '');

function cookiesOf(headers: readonly string[]): string[] {
  return headers.flatMap((header) =>
    header
      .split(';')
      .map(bare)
      .filter((pair) => pair !== ''),
  );
}

function mcpOf(raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = foldHeaderName(raw[at] as string);
    if (name.startsWith('mcp-')) fields.push(`${name}: ${bare(raw[at + 1] as string)}`);
  }
  // Of one name the order decides, of several it does not.
  return fields.sort((a, b) => (a.split(':')[0] as string).localeCompare(b.split(':')[0] as string));
}
