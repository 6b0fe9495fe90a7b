import { readFileSync } from 'node:fs';
import { isRecord } from '../is-record.ts';
import { unreadable } from '../unreadable.ts';
import { configJsonSchema, type JsonSchema, mapIn, mapOf, withoutPath } from './keys.ts';
import type { SecretFile } from './values.ts';

export interface ReadSecrets {
  /** A copy, in which `x` stands where `xPath` was. */
  readonly input: unknown;
  readonly problems: readonly string[];
  /** Paths of the secrets that could not be read. */
  readonly unread: ReadonlySet<string>;
  /** Every file that was read. */
  readonly files: readonly string[];
}

let schema: JsonSchema | undefined;

/**
 * Reads the files of secrets that are given as `xPath`. Those of which a user watches the file stay as they are.
 *
 * @param foreign section of the other process, whose files may be out of reach
 */
export function readSecretFiles(given: unknown, foreign?: string): ReadSecrets {
  schema ??= configJsonSchema();
  const input: unknown = structuredClone(given);
  const problems: string[] = [];
  const unread = new Set<string>();
  const files: string[] = [];
  for (const { holder, name, kind, at } of [...secretPaths(input, schema, '')]) {
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

interface SecretPath {
  readonly holder: Record<string, unknown>;
  readonly name: string;
  readonly kind: SecretFile;
  /** Of the secret, without `Path`. */
  readonly at: string;
}

function* secretPaths(value: unknown, whole: JsonSchema, path: string): Generator<SecretPath> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* secretPaths(item, whole.items ?? {}, `${path}[${index}]`);
    return;
  }
  if (!isRecord(value)) return;
  const object = mapIn(whole);
  for (const [name, inner] of Object.entries(value)) {
    const known = Object.hasOwn(object.properties ?? {}, name) ? object.properties?.[name] : mapOf(object);
    if (known === undefined) continue;
    const at = path === '' ? name : `${path}.${name}`;
    if (known.secretFile === undefined) yield* secretPaths(inner, known, at);
    else yield { holder: value, name, kind: known.secretFile, at: withoutPath(at) };
  }
}
