import type { z } from 'zod';
import { ConfigurationError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import { checkProxies } from '../outbound/proxies.ts';
import { type ConfigDocument, checkReplacement } from './config-document.ts';
import { configPath, readConfigFile } from './config-file.ts';
import { readEnvironment } from './environment.ts';
import { pathText, problemsOf } from './issue-texts.ts';
import { withoutPath } from './keys.ts';
import { listenerWarnings } from './listener-warnings.ts';
import { checkNothingLost } from './lost-keys.ts';
import { turnOnPresent } from './present-sections.ts';
import { isLacking, lackedSecret, otherProcess, type ProcessName, SECTIONS } from './process-sections.ts';
import { namedFiles } from './read-files.ts';
import { renameKeys } from './renamed-keys.ts';
import { silentRules } from './rule-statements.ts';
import { type Config, configSchema, configShape } from './schema.ts';
import { type ReadSecrets, readSecretFiles } from './secret-files.ts';
import { secretWarnings } from './secret-warnings.ts';
import { sessionWarnings } from './session-warnings.ts';
import { unusedJwt } from './unused-jwt.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, or undefined where there was none. */
  readonly file: string | undefined;
  readonly warnings: readonly string[];
  /** What the file says without a word: for who asks, not for a log. */
  readonly notes: readonly string[];
  /** Every file that was read, or will be with the configuration: where one changes, it must be read again. */
  readonly files: readonly string[];
  /** What the file holds, to compare the next one with. */
  readonly document: ConfigDocument | undefined;
}

export interface ConfigInput extends Omit<LoadedConfig, 'config'> {
  readonly input: unknown;
  /** Rules that must not be read as they stand. */
  readonly problems: readonly string[];
}

/** Path of a file, or what one held when it was read. */
export type ConfigSource = string | ConfigDocument;

/**
 * Reads the configuration once: file, then environment over it.
 *
 * @param source path given on the command line; absent: `POSTERN_CONFIG`, or `./postern.yaml` where it exists
 * @param running the file that this one replaces in a running process; it must not seem cut short, and nothing is
 *   allowed by what it leaves out
 * @param process whose start reads it: secrets of the other process may be absent; undefined: all must be there
 * @throws ConfigurationError with one line for each problem, each starting with the key's path
 */
export function loadConfig(
  source: ConfigSource | undefined,
  env: Readonly<Record<string, string | undefined>>,
  running?: ConfigDocument,
  process?: ProcessName,
): LoadedConfig {
  const { input, problems, ...rest } = readInput(source, env, running, process);
  const read = secretsOf(input, process);
  const config = parseRead(read, problems, process);
  if (rest.document !== undefined && running !== undefined) checkNothingLost(rest.document, running);
  const files = [...new Set([...rest.files, ...read.files, ...namedFiles(config)])];
  const said = [...rest.warnings, ...listenerWarnings(config), ...sessionWarnings(config)];
  const warnings = process === undefined ? said : concerning(process, [...said, ...secretWarnings(config)]);
  return { config, ...rest, files, warnings };
}

/** Of the section that the other process alone runs by, that one speaks. */
function concerning(process: ProcessName, warnings: readonly string[]): string[] {
  const foreign = `${SECTIONS[otherProcess(process)]}.`;
  return warnings.filter((warning) => !warning.startsWith(foreign));
}

/**
 * What file and environment say, merged but not yet checked.
 *
 * @throws ConfigurationError where one of them cannot be read, or the file seems cut short
 */
export function readInput(
  source: ConfigSource | undefined,
  env: Readonly<Record<string, string | undefined>>,
  replaced?: ConfigDocument,
  process?: ProcessName,
): ConfigInput {
  const path = typeof source === 'object' ? source.path : configPath(source, env);
  const document = typeof source === 'object' ? source : path === undefined ? undefined : readConfigFile(path);
  // The same text replaces nothing.
  const running = document?.text === replaced?.text ? undefined : replaced;
  if (document !== undefined && running !== undefined) checkReplacement(document, running);
  const { values: given, warnings, files } = readEnvironment(env, process && SECTIONS[otherProcess(process)]);
  checkProxies(env);
  // The file by itself, so that the environment wins whichever name the file uses.
  const named = renameKeys(document?.content ?? {});
  const inEnvironment = renameKeys(given);
  const present = turnOnPresent(named.input, 'file', inEnvironment.input);
  const { input: values, ...presentHere } = turnOnPresent(inEnvironment.input, 'environment');
  const input = merge(present.input, values);
  const silent = silentRules(input, document, values);
  const problems = [
    ...named.problems,
    ...inEnvironment.problems,
    ...silent.cut,
    ...(running === undefined ? [] : silent.warnings),
  ];
  const unused = unusedJwt(input, env);
  const read = path === undefined ? files : [path, ...files];
  return {
    input,
    problems,
    file: path,
    files: read,
    document,
    notes: [...present.notes, ...presentHere.notes],
    warnings: [
      ...named.warnings,
      ...inEnvironment.warnings,
      ...unused,
      ...present.warnings,
      ...presentHere.warnings,
      ...silent.warnings,
      ...warnings,
    ],
  };
}

/**
 * @param known problems that the reader of `input` has found
 * @param process as of {@link loadConfig}
 * @throws ConfigurationError
 */
export function parseConfig(input: unknown, known: readonly string[] = [], process?: ProcessName): Config {
  return parseRead(secretsOf(input, process), known, process);
}

function secretsOf(input: unknown, process: ProcessName | undefined): ReadSecrets {
  return readSecretFiles(input, process && SECTIONS[otherProcess(process)]);
}

function parseRead(
  { input, problems, unread }: ReadSecrets,
  before: readonly string[],
  process: ProcessName | undefined,
): Config {
  const known = [...before, ...problems];
  const result = configSchema.safeParse(input);
  if (result.success && known.length === 0) return result.data;
  const lacked = process === undefined ? () => false : lackedSecret(SECTIONS[otherProcess(process)]);
  // What could not be read is not absent, and has been said.
  const isSaid = (issue: z.core.$ZodIssue) => unread.size > 0 && (unread.has(pathText(issue.path)) || isLacking(issue));
  const issues = result.error?.issues.filter((issue) => !lacked(issue) && !isSaid(issue)) ?? [];
  if (issues.length === 0 && known.length === 0) return configShape.parse(input);
  const found = issues.flatMap(problemsOf);
  throw new ConfigurationError([...found, ...known]);
}

/** Environment over file, key by key; lists are replaced as a whole, and a secret whichever way the file gives it. */
function merge(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over)) return over === undefined ? base : over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    merged[key] = merge(base[key], value);
    const twin = key.endsWith('Path') ? withoutPath(key) : `${key}Path`;
    if (!Object.hasOwn(over, twin)) delete merged[twin];
  }
  return merged;
}
