import { isUtf8 } from 'node:buffer';
import { Names } from './names.ts';

/** `{name}`, `{+path}` and the like (RFC 6570 §2). */
const EXPRESSION = /\{[^{}]*\}/g;
const STAR = 0x2a;

/** Globs over the URIs of resources. */
export class ResourceUris {
  readonly names: Names;
  readonly #collapsed: Names;
  readonly #everything: boolean;

  constructor(globs: readonly string[]) {
    this.names = new Names(globs);
    this.#collapsed = new Names(globs.map(collapsed));
    this.#everything = globs.includes('*');
  }

  /** A URI that a server could take for one elsewhere is none below `file:///data/*`. */
  has(uri: string): boolean {
    return this.#everything || (isPlain(uri) && this.names.has(uri));
  }

  /** Whether one of the globs matches the URI, or what a server may take it for. */
  hasLike(uri: string): boolean {
    if (this.names.hasLike(uri)) return true;
    const text = decoded(uri);
    return this.names.hasLike(resolved(text)) || this.#collapsed.hasLike(resolved(collapsed(text)));
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

/** Without dot segments (RFC 3986 §5.2.4), in one pass. */
function resolved(text: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:\/*/i.exec(text)?.[0] ?? '';
  const segments: string[] = [];
  for (const segment of text.slice(scheme.length).split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '.') segments.push(segment);
  }
  return scheme + segments.join('/');
}

/** As a server reads it that decodes before it resolves, perhaps more than once. */
function decoded(uri: string): string {
  let text = uri;
  for (let turn = 0; turn < 3; turn++) text = unescaped(text);
  return text.replaceAll('\\', '/');
}

/** What is no escape stays as it is, and hides no other one. */
function unescaped(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    const bytes = Buffer.from(escapes.replaceAll('%', ''), 'hex');
    return isUtf8(bytes) ? bytes.toString() : bytes.toString('latin1');
  });
}

/** Many separators are one to a file system. */
function collapsed(text: string): string {
  return text.replace(/\/+/g, '/');
}

/** Whether two globs have a text in common. Each character of the other is looked at once for each of the first. */
function intersect(one: string, other: string): boolean {
  const width = one.length;
  let row = new Uint8Array(width + 1);
  let next = new Uint8Array(width + 1);
  row[0] = 1;
  for (let j = 1; j <= width && one[j - 1] === '*'; j++) row[j] = 1;
  for (let i = 0; i < other.length; i++) {
    const code = other.charCodeAt(i);
    const star = code === STAR;
    next[0] = star ? (row[0] as number) : 0;
    for (let j = 1; j <= width; j++) {
      const own = one.charCodeAt(j - 1);
      if (star || own === STAR) next[j] = (row[j] as number) | (next[j - 1] as number);
      else next[j] = own === code ? (row[j - 1] as number) : 0;
    }
    [row, next] = [next, row];
  }
  return row[width] === 1;
}
