import { existsSync, readFileSync } from 'node:fs';
import { closest, distance } from 'fastest-levenshtein';
import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { ConfigurationError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import { readEnvironment } from './environment.ts';
import { type ConfigKey, configKeys } from './keys.ts';
import { type Config, configSchema } from './schema.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, or undefined where there was none. */
  readonly file: string | undefined;
  readonly warnings: readonly string[];
}

export const DEFAULT_FILE = 'postern.yaml';

/**
 * Reads the configuration once: file, then environment over it.
 *
 * @param file path given on the command line; absent: `POSTERN_CONFIG`, or `./postern.yaml` where it exists
 * @throws ConfigurationError with one line for each problem, each starting with the key's path
 */
export function loadConfig(file: string | undefined, env: Readonly<Record<string, string | undefined>>): LoadedConfig {
  const { input, ...rest } = readInput(file, env);
  return { config: parseConfig(input), ...rest };
}

/**
 * What file and environment say, merged but not yet checked.
 *
 * @throws ConfigurationError where one of them cannot be read
 */
export function readInput(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): { input: unknown; file: string | undefined; warnings: readonly string[] } {
  const path = file ?? env.POSTERN_CONFIG ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  const fromFile = path === undefined ? {} : readYaml(path);
  const { values, warnings } = readEnvironment(env);
  return { input: merge(fromFile, values), file: path, warnings };
}

/** @throws ConfigurationError */
export function parseConfig(input: unknown): Config {
  const result = configSchema.safeParse(input);
  if (result.success) return result.data;
  const keys = configKeys();
  throw new ConfigurationError(result.error.issues.flatMap((issue) => describe(issue, keys)));
}

function readYaml(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError([`${path}: cannot be read (${(cause as NodeJS.ErrnoException).code})`], cause);
  }
  const document = parseDocument(text, { lineCounter: new LineCounter(), prettyErrors: true, stringKeys: true });
  // Only the first line of yaml's message: the rest quotes the file, which may hold a secret.
  if (document.errors.length > 0)
    throw new ConfigurationError(document.errors.map((error) => `${path}: ${error.message.split('\n')[0]}`));
  let content: unknown;
  try {
    content = document.toJS() ?? {};
  } catch (cause) {
    // The message would name the alias, and a secret that starts with `*` reads as one.
    throw new ConfigurationError([`${path}: an alias (\`*name\`) has no anchor, or there are too many`], cause);
  }
  // The environment is merged over it, which would hide a list or a text.
  if (!isRecord(content)) throw new ConfigurationError([`${path}: must be a map of keys`]);
  return content;
}

/** Environment over file, key by key; lists are replaced as a whole. */
function merge(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over)) return over === undefined ? base : over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) merged[key] = merge(base[key], value);
  return merged;
}

function describe(issue: z.core.$ZodIssue, keys: readonly ConfigKey[]): string[] {
  const path = formatPath(issue.path);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `${join(path, key)}: unknown key${suggestion(issue.path, key, keys)}`);
  return [`${path === '' ? 'configuration' : path}: ${issue.message}`];
}

function suggestion(path: readonly PropertyKey[], key: string, keys: readonly ConfigKey[]): string {
  const parent = path
    .map((part) => (typeof part === 'number' ? '[]' : `.${String(part)}`))
    .join('')
    .slice(1);
  const siblings = new Set<string>();
  for (const { path: known } of keys) {
    const generic = known.replace('relay.servers.<name>', parent.startsWith('relay.servers.') ? parent : '<none>');
    if (parent !== '' && !generic.startsWith(`${parent}.`)) continue;
    const rest = parent === '' ? generic : generic.slice(parent.length + 1);
    siblings.add(rest.split(/[.[]/)[0] as string);
  }
  if (siblings.size === 0) return '';
  const near = closest(key, [...siblings]);
  return distance(key, near) <= Math.max(2, key.length / 3)
    ? `; did you mean \`${near}\`?`
    : `; possible here: ${[...siblings].join(', ')}`;
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => join(text, part), '');
}

function join(path: string, part: PropertyKey): string {
  if (typeof part === 'number') return `${path}[${part}]`;
  return path === '' ? String(part) : `${path}.${String(part)}`;
}
