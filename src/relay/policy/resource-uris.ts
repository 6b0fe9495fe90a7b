import { Names } from './names.ts';

/** `{name}`, `{+path}` and the like (RFC 6570 §2). */
const EXPRESSION = /\{[^{}]*\}/g;

/** Globs over the URIs of resources. */
export class ResourceUris {
  readonly names: Names;
  readonly #everything: boolean;

  constructor(globs: readonly string[]) {
    this.names = new Names(globs);
    this.#everything = globs.includes('*');
  }

  /** A URI that a server could take for one elsewhere is none below `file:///data/*`. */
  has(uri: string): boolean {
    return this.#everything || (isPlain(uri) && this.names.has(uri));
  }

  /** Whether one of the globs matches the URI, or what a server may take it for. */
  hasLike(uri: string): boolean {
    return this.names.hasLike(uri) || this.names.hasLike(resolved(uri));
  }

  /** Whether a template could yield a URI that is matched here. */
  meets(template: string): boolean {
    const pattern = template.replaceAll('*', '?').replace(EXPRESSION, '*');
    return this.names.globs.some((glob) => intersect(glob, pattern));
  }
}

/** Without dot segments, encoded separators and characters that readers of URIs disagree about. */
function isPlain(uri: string): boolean {
  return !/[\\\p{C}\s]|%(?:2e|2f|5c|00|25)|(?:^|[/:])\.{1,2}(?:[/?#]|$)/iu.test(uri);
}

/** As a server reads it that decodes first and then resolves; as it is where it cannot be read so. */
function resolved(uri: string): string {
  let text = uri;
  for (let turn = 0; turn < 3; turn++) {
    try {
      text = decodeURIComponent(text);
    } catch {
      break;
    }
  }
  text = text.replaceAll('\\', '/').replace(/\/+(?:\.\/+)+/g, '/');
  const scheme = /^[a-z][a-z0-9+.-]*:\/*/i.exec(text)?.[0] ?? '';
  const segments: string[] = [];
  for (const segment of text.slice(scheme.length).split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '.') segments.push(segment);
  }
  return scheme + segments.join('/');
}

/** Whether two globs have a text in common. Table by table, as for the distance of texts: no glob can make it slow. */
function intersect(one: string, other: string): boolean {
  let row = new Array<boolean>(other.length + 1).fill(false);
  row[0] = true;
  for (let j = 1; j <= other.length; j++) row[j] = (row[j - 1] as boolean) && other[j - 1] === '*';
  for (let i = 1; i <= one.length; i++) {
    const star = one[i - 1] === '*';
    const next = new Array<boolean>(other.length + 1).fill(false);
    next[0] = (row[0] as boolean) && star;
    for (let j = 1; j <= other.length; j++) {
      const otherStar = other[j - 1] === '*';
      if (star || otherStar) next[j] = (row[j] as boolean) || (next[j - 1] as boolean);
      else next[j] = (row[j - 1] as boolean) && one[i - 1] === other[j - 1];
    }
    row = next;
  }
  return row[other.length] as boolean;
}
