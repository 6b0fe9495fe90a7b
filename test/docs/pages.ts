import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const HOME = fileURLToPath(new URL('../../', import.meta.url));

/** A page for people, with its path from the project's folder. */
export interface Page {
  readonly path: string;
  readonly folder: string;
  readonly text: string;
}

/** What stands between fences. */
export interface Block {
  readonly page: Page;
  readonly language: string;
  readonly text: string;
}

/** Every page of the project; the generated reference is one of them. */
export function pages(): Page[] {
  const below = ['docs', 'deploy', 'grafana'].flatMap((folder) =>
    readdirSync(`${HOME}${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  );
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...below.sort()].map(pageAt);
}

export function pageAt(path: string): Page {
  return { path, folder: dirname(path), text: readFileSync(`${HOME}${path}`, 'utf8') };
}

/** Blocks of a page, without the indentation of a list around them. */
export function blocksOf(page: Page): Block[] {
  const blocks: Block[] = [];
  let open: { indent: string; fence: string; language: string; lines: string[] } | undefined;
  for (const line of page.text.split('\n')) {
    const fence = /^( *)(`{3,})(\w*)\s*$/.exec(line);
    if (open === undefined) {
      if (fence !== null)
        open = { indent: fence[1] as string, fence: fence[2] as string, language: fence[3] as string, lines: [] };
    } else if (fence?.[2] === open.fence && fence[3] === '') {
      blocks.push({ page, language: open.language, text: open.lines.join('\n') });
      open = undefined;
    } else open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
  }
  if (open !== undefined) throw new Error(`${page.path}: a block does not end`);
  return blocks;
}

/** The page without its blocks, where links and names in running text stand. */
export function prose(page: Page): string {
  return page.text.replaceAll(/^( *)(`{3,})[^\n]*\n[\s\S]*?\n\1\2[ \t]*$/gm, '');
}

/** Code in running text, each on its own. */
export function inlineCode(page: Page): string[] {
  return [...prose(page).matchAll(/`([^`\n]+(?:\n[^`\n]+)?)`/g)].map(([, code]) =>
    (code as string).replaceAll(/\s+/g, ' '),
  );
}
