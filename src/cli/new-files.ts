import { chmodSync, chownSync, existsSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PosternError } from '../platform/errors.ts';

export interface NewFile {
  readonly content: string;
  readonly mode: number;
}

export interface WriteOptions {
  /** The command that writes, for its errors. */
  readonly command: string;
  /** Of the folder, where it is made. */
  readonly mode: number;
  /** Id of the user, and of the group, to whom the files belong; absent: those of this process. */
  readonly owner?: number | undefined;
  readonly group?: number | undefined;
  /** Whether a file that is there is replaced. */
  readonly replace?: boolean;
}

/**
 * Writes all or none.
 *
 * @param files by their paths in the folder
 * @returns their absolute paths by name
 * @throws PosternError where one is there that must not be replaced, or cannot be written
 */
export function writeNewFiles(
  directory: string,
  files: Readonly<Record<string, NewFile>>,
  { command, mode, owner = -1, group = -1, replace = false }: WriteOptions,
): Record<string, string> {
  const root = resolve(directory);
  const paths = Object.fromEntries(Object.keys(files).map((name) => [name, join(root, name)]));
  const drafts: Array<readonly [draft: string, path: string]> = [];
  const written: string[] = [];
  let at = root;
  try {
    for (const [name, { content, mode: own }] of Object.entries(files)) {
      at = paths[name] as string;
      if (!replace && existsSync(at)) throw Object.assign(new Error('is there'), { code: 'EEXIST' });
      const made = mkdirSync(dirname(at), { recursive: true, mode });
      if (made !== undefined && (owner !== -1 || group !== -1)) chownSync(dirname(at), owner, group);
      const draft = `${at}.${process.pid}.new`;
      writeFileSync(draft, content, { flag: 'wx', mode: own });
      drafts.push([draft, at]);
      if (owner !== -1 || group !== -1) chownSync(draft, owner, group);
      // Without the mask of this process.
      chmodSync(draft, own);
    }
    for (const [draft, path] of drafts) {
      at = path;
      if (replace) renameSync(draft, path);
      // Fails where a file came meanwhile.
      else linkSync(draft, path);
      written.push(path);
    }
    return paths;
  } catch (cause) {
    if (!replace) for (const path of written) rmSync(path, { force: true });
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' ? 'is there already: name another folder, or remove it' : `cannot be written (${code})`;
    throw new PosternError(command, `--dir: ${at} ${why}; no file was written`, { expose: true, cause });
  } finally {
    for (const [draft] of drafts) rmSync(draft, { force: true });
  }
}
