import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { USER_NAMES } from '../../src/identity/user.ts';

const HOME = new URL('../../', import.meta.url);

/** The fields that `docs/logs.md` lists. */
export function documentedFields(): Set<string> {
  const page = readFileSync(new URL('docs/logs.md', HOME), 'utf8');
  const table = page.slice(page.indexOf('## Fields'));
  return new Set([...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name as string));
}

/** Fields that stand as an object in a call of the log, by file; what is spread into one is not seen. */
export function loggedFields(): Map<string, Set<string>> {
  const src = fileURLToPath(new URL('src', HOME));
  const found = new Map<string, Set<string>>();
  for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const source = readFileSync(`${src}/${file}`, 'utf8');
    const names = new Set<string>();
    for (const call of source.matchAll(
      /\b(?:log|logger|\.note)(?:\.(?:debug|info|warn|error|fatal)|\[[^\]]+\])?\(\s*(?:[^,{()]+,\s*)?\{/g,
    ))
      for (const name of keysAt(source, call.index + call[0].length)) names.add(name);
    if (names.size > 0) found.set(file, names);
  }
  return found;
}

/** Keys of an object literal; an identity is written as the fields of a user. @param from behind its opening brace */
function keysAt(source: string, from: number): string[] {
  const keys: string[] = [];
  let depth = 0;
  let expects = true;
  for (let at = from; at < source.length; at++) {
    const character = source[at] as string;
    if ('({['.includes(character)) depth += 1;
    else if (')}]'.includes(character)) {
      if (depth === 0) return keys;
      depth -= 1;
    } else if (depth === 0 && character === ',') expects = true;
    else if (expects && depth === 0 && /\S/.test(character)) {
      expects = false;
      const key = /^(\w+)\s*[,:}]/.exec(source.slice(at, at + 80))?.[1];
      if (key !== undefined) keys.push(...(key === 'identity' ? ['user', ...USER_NAMES] : [key]));
    }
  }
  return keys;
}

/** Fields of the lines that processes have written; lines of the audit log are another page's. */
export function fieldsOf(output: string): Set<string> {
  const fields = new Set<string>();
  for (const line of output.split('\n')) {
    if (!line.startsWith('{"level":')) continue;
    const written = JSON.parse(line) as object;
    // Proxies write such lines too.
    if ('process' in written) for (const name of Object.keys(written)) fields.add(name);
  }
  return fields;
}
