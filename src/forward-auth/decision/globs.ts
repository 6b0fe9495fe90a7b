import { nameGlob } from '../../platform/name-glob.ts';
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

function escapeAround(glob: string, star: string): string {
  return glob
    .split(/\*+/)
    .map((part) => part.replace(/[.+?^${}()|[\]\\/-]/g, '\\$&'))
    .join(star);
}
