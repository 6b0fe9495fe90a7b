/**
 * `*` matches anything: names of methods and tools have no segments. Parts are searched from left to right and never
 * again: a regular expression with several stars would try all ways to share out a name that a client made long.
 */
export function nameGlob(glob: string): (name: string) => boolean {
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
