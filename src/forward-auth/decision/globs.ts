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
  const expression = new RegExp(`^${escapeAround(head, '[^/]*')}${deep ? '(?:/.*)?' : ''}$`, 's');
  return (path) => expression.test(path);
}

/** `*` matches one label. Without a port the glob holds for every port. */
export function hostGlob(glob: string): Matcher {
  const lower = glob.toLowerCase().replace(/\.$/, '');
  const withPort = /:\d+$/.test(lower);
  const expression = new RegExp(`^${escapeAround(lower, '[^.:]+')}${withPort ? '' : '(?::\\d+)?'}$`);
  return (host) => expression.test(host);
}

/** `*` matches anything: names of methods and tools have no segments. */
export function nameGlob(glob: string): Matcher {
  if (!glob.includes('*')) return (name) => name === glob;
  const expression = new RegExp(`^${escapeAround(glob, '.*')}$`, 's');
  return (name) => expression.test(name);
}

function escapeAround(glob: string, star: string): string {
  return glob
    .split(/\*+/)
    .map((part) => part.replace(/[.+?^${}()|[\]\\/-]/g, '\\$&'))
    .join(star);
}
