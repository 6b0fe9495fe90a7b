import { readFileSync } from 'node:fs';
import { unreadable } from '../unreadable.ts';
import { withoutPath } from './keys.ts';
import { visited } from './visited-keys.ts';

export interface ReadSecrets {
  /** A copy, in which `x` stands where `xPath` was. */
  readonly input: unknown;
  readonly problems: readonly string[];
  /** Paths of the secrets that could not be read. */
  readonly unread: ReadonlySet<string>;
  /** Every file that was read. */
  readonly files: readonly string[];
}

/**
 * Reads the files of secrets that are given as `xPath`. Those of which a user watches the file stay as they are.
 *
 * @param foreign section of the other process, whose files may be out of reach
 */
export function readSecretFiles(given: unknown, foreign?: string): ReadSecrets {
  const input: unknown = structuredClone(given);
  const problems: string[] = [];
  const unread = new Set<string>();
  const files: string[] = [];
  for (const { holder, name, schema, path: whole } of visited(input)) {
    const kind = schema.secretFile;
    if (kind === undefined) continue;
    const at = withoutPath(whole);
    const path = holder[name];
    const secret = withoutPath(name);
    if (typeof path !== 'string' || path === '') continue;
    if (holder[secret] !== undefined) problems.push(`${at}: give either this or ${at}Path, not both`);
    else if (kind === 'place') holder[secret] = { path };
    else if (kind === 'read')
      try {
        holder[secret] = secretText(path);
        files.push(path);
      } catch (error) {
        if (foreign === undefined || !at.startsWith(`${foreign}.`)) {
          problems.push(`${at}Path: ${(error as Error).message}`);
          unread.add(at);
        }
      }
    if (kind !== 'watched') delete holder[name];
  }
  return { input, problems, unread, files };
}

/** @throws Error that says what is wrong with the file, never what is in it */
export function secretText(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new Error(unreadable(file, cause), { cause });
  }
  if (text.trim() === '') throw new Error(`${file} is empty: write the secret into it`);
  return text;
}
