import { canonicalAddress, DEFAULT_PORTS } from './target.ts';

export type Matcher = (text: string) => boolean;

/** `*` matches within one segment; `/**` at the end matches everything below, and the path above it. */
export function pathGlob(glob: string): Matcher {
  const deep = glob.endsWith('/**');
  const head = deep ? glob.slice(0, -3) : glob;
  if (!head.includes('*')) {
    if (!deep) return (path) => path === head;
    const prefix = `${head}/`;
    return (path) => path.startsWith(prefix) || path === head;
  }
  const segments = head.split('/').map(nameGlob);
  return (path) => {
    const given = path.split('/');
    if (deep ? given.length < segments.length : given.length !== segments.length) return false;
    return segments.every((matches, index) => matches(given[index] as string));
  };
}

/** `*` matches one label. Without a port the glob holds for every port; the scheme says which one a bare host has. */
export function hostGlob(glob: string): (host: string, scheme?: 'http' | 'https') => boolean {
  const lower = glob
    .toLowerCase()
    .replace(/^\[[^\]*]+\]/, (address) => canonicalAddress(address) || address)
    .replace(/\.(?=$|:\d+$)/, '');
  const withPort = /:\d+$/.test(lower);
  const expression = new RegExp(`^${escapeAround(lower, '[^.:]+')}${withPort ? '' : '(?::\\d+)?'}$`);
  if (!withPort) return (host) => expression.test(host);
  return (host, scheme) =>
    expression.test(scheme === undefined || /:\d+$/.test(host) ? host : `${host}:${DEFAULT_PORTS[scheme]}`);
}

/**
 * `*` matches anything: names of methods and tools have no segments. Parts are searched from left to right and never
 * again: a regular expression with several stars would try all ways to share out a name that a client made long.
 */
export function nameGlob(glob: string): Matcher {
  const [start, ...rest] = glob.split(/\*+/) as [string, ...string[]];
  const end = rest.pop();
  if (end === undefined) return (name) => name === glob;
  return (name) => {
    if (!name.startsWith(start)) return false;
    let at = start.length;
    for (const part of rest) {
      const found = name.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return name.length - end.length >= at && name.endsWith(end);
  };
}

function escapeAround(glob: string, star: string): string {
  return glob
    .split(/\*+/)
    .map((part) => part.replace(/[.+?^${}()|[\]\\/-]/g, '\\$&'))
    .join(star);
}
