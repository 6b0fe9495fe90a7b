import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));

/** A text of a file, and what stands there instead in a copy. */
export type Replacement = readonly [from: string, to: string];

/** A copy of a folder of `deploy/` in which some texts of some files are others. */
export async function copyFolder(
  name: string,
  files: Readonly<Record<string, readonly Replacement[]>>,
): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), `postern-${name}-`));
  await cp(join(DEPLOY, name), folder, { recursive: true });
  for (const [file, replacements] of Object.entries(files)) {
    const path = join(folder, file);
    await writeFile(path, replaceTexts(await readFile(path, 'utf8'), replacements));
  }
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/**
 * Replaces in one pass. Every text must be found, so that a test cannot go on running with an address that the files no
 * longer hold.
 */
export function replaceTexts(text: string, replacements: readonly Replacement[]): string {
  const table = new Map(replacements);
  const escaped = [...table.keys()].map((from) => from.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const found = new Set<string>();
  const replaced = text.replace(new RegExp(`(?:${escaped.join('|')})(?![0-9])`, 'g'), (from) => {
    found.add(from);
    return table.get(from) as string;
  });
  const unused = [...table.keys()].filter((from) => !found.has(from));
  if (unused.length > 0) throw new Error(`not there any more: ${unused.join(', ')}`);
  return replaced;
}
