import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PosternError } from '../platform/errors.ts';

/**
 * Writes all or none, and never over a file that is there.
 *
 * @param group id of the group that may read them too
 * @returns their absolute paths by name
 * @throws PosternError
 */
export function writeSecretFiles(
  directory: string,
  contents: Readonly<Record<string, string>>,
  group: number | undefined,
): Record<string, string> {
  const written: string[] = [];
  const paths: Record<string, string> = {};
  let at = resolve(directory);
  try {
    const made = mkdirSync(at, { recursive: true, mode: group === undefined ? 0o700 : 0o750 });
    if (made !== undefined && group !== undefined) chownSync(at, -1, group);
    for (const [name, content] of Object.entries(contents)) {
      at = join(resolve(directory), name);
      writeFileSync(at, `${content}\n`, { flag: 'wx', mode: 0o600 });
      written.push(at);
      if (group !== undefined) {
        chownSync(at, -1, group);
        chmodSync(at, 0o640);
      }
      paths[name] = at;
    }
    return paths;
  } catch (cause) {
    for (const path of written) rmSync(path, { force: true });
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' ? 'is there already: name another folder, or remove it' : `cannot be written (${code})`;
    throw new PosternError('secrets', `--dir: ${at} ${why}; no file was written`, { expose: true, cause });
  }
}
