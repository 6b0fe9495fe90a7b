import { readdirSync, readFileSync } from 'node:fs';
import { RETIRED_TEXT } from './retired-words.ts';

/** What a person reads outside of the program: pages, comments of the files to take over, panels and alerts. */
const FOLDERS = ['docs', 'deploy', 'grafana', 'bin', '.github', '.ci'];
const FILES = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'Dockerfile', 'package.json'];
const TEXT =
  /(?:^|[./])(?:md|ya?ml|json|mjs|js|ts|py|go|sh|conf|cfg|ini|lua|patch|tpl|txt|service|template|Caddyfile|Dockerfile|run)$/;
/** Values of other products, which are called so there. */
const FOREIGN = /principalId|runAsUser/;

/** @param home the project's folder, ending in a slash @returns paths from there of every text that a person reads */
export function textsForPeople(home: string): string[] {
  const below = FOLDERS.flatMap((folder) =>
    readdirSync(`${home}${folder}`, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && TEXT.test(entry.name) && !entry.parentPath.includes('node_modules'))
      .map((entry) => `${entry.parentPath}/${entry.name}`.slice(home.length)),
  );
  return [...FILES, ...below.sort()];
}

/** @returns one readable line for each line of the text that has a retired word */
export function retiredTexts(path: string, text: string): string[] {
  return text
    .split('\n')
    .flatMap((line, index) =>
      RETIRED_TEXT.test(line) && !FOREIGN.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 120)}`] : [],
    );
}

export const readText = (home: string, path: string): string => readFileSync(`${home}${path}`, 'utf8');
