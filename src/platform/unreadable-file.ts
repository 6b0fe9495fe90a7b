/** Why a file cannot be read, and what to look at, for a message that names the file. */
export function unreadable(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  return `cannot be read (${code}${hint(code)})`;
}

function hint(code: string | undefined): string {
  switch (code) {
    case 'EISDIR':
      return ': it is a folder, which a container engine makes in the place of a file that is missing on the host';
    case 'EACCES':
      return `: this process runs as user ${process.getuid?.() ?? 'unknown'}, who must be allowed to read it and its folder`;
    default:
      return '';
  }
}
