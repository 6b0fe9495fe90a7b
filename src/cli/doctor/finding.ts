import { sourceOf } from '../../platform/config/config-source.ts';
import type { LoadedConfig } from '../../platform/config/load.ts';
import { ConfigurationError } from '../../platform/errors.ts';

/** What was found out about one key of the configuration. */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail';
  /** Path of the key, or the name of an environment variable. */
  readonly key: string;
  /** What is so: the cause where it is wrong. */
  readonly cause: string;
  /** What to do; absent where nothing is. */
  readonly fix?: string;
}

/** A finding with the place where its key is written. */
export interface PlacedFinding extends Finding {
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
}

export const ok = (key: string, cause: string): Finding => ({ level: 'ok', key, cause });
export const warn = (key: string, cause: string, fix: string): Finding => ({ level: 'warn', key, cause, fix });
export const fail = (key: string, cause: string, fix: string): Finding => ({ level: 'fail', key, cause, fix });

/**
 * A message that names key, cause and, after a semicolon, the fix.
 *
 * @param fix where the message has none
 */
export function findingOf(level: Finding['level'], message: string, fix?: string): Finding {
  const [, key = 'configuration', cause = message, own = fix] =
    /^(\S+(?: \([\w.[\]-]+\))?): (.*?)(?:; (.*))?$/s.exec(message) ?? [];
  return own === undefined ? { level, key, cause } : { level, key, cause, fix: own };
}

/** Where the key, or the nearest one around it, is written in the file. */
export function placed(finding: Finding, { document }: Pick<LoadedConfig, 'document'>): PlacedFinding {
  const path = finding.key.split(/[.[\]]+/).flatMap((part) => (part === '' ? [] : [/^\d+$/.test(part) ? +part : part]));
  for (let length = path.length; length > 0; length--) {
    const source = sourceOf(document, path.slice(0, length));
    if (source !== undefined) return { ...finding, file: source.file, line: source.line };
  }
  return finding;
}

/** Key, place, cause and fix in one line. */
export function findingText({ key, file, line, cause, fix }: PlacedFinding): string {
  const place = file === undefined ? '' : ` (${file}:${line})`;
  return `${key}${place}: ${cause}${fix === undefined ? '' : `; ${fix}`}`;
}

/** What opening a part of the configuration complains of; nothing where it opens. */
export async function complaints(open: () => unknown, level: Finding['level'], fix: string): Promise<Finding[]> {
  try {
    await open();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((problem) => findingOf(level, problem, fix));
  }
}
