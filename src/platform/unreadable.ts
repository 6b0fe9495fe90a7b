const FIXES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file: make it, mount it, or name another',
  ENOTDIR: 'its folder is a file: name another path',
  EISDIR: 'it is a folder: name a file in it; a container engine makes one for a file that is missing on the host',
  EACCES: `user ${process.getuid?.() ?? 'of the process'} may not read it: change its owner or mode, and its folder's`,
  EPERM: `user ${process.getuid?.() ?? 'of the process'} may not read it: change its owner or mode, and its folder's`,
};

/** What a message says of a file that could not be read: its path, the system's code and what to do. Never what is in it. */
export function unreadable(path: string, error: unknown): string {
  const { code = 'unreadable' } = error as NodeJS.ErrnoException;
  return `${path} cannot be read (${code})${code in FIXES ? `: ${FIXES[code]}` : ''}`;
}
