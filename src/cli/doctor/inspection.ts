import { type LoadedConfig, loadConfig, readInput } from '../../platform/config/load.ts';
import { isRecord } from '../../platform/is-record.ts';
import { compilePolicy } from '../../relay/policy/compile.ts';
import { fileFindings } from './files.ts';
import { type Finding, type PlacedFinding, placed, warn } from './finding.ts';
import { ruleFindings } from './rules.ts';
import { weaknessFindings } from './weaknesses.ts';

/** What can be said of a configuration without asking anybody: nothing in it is wrong, and some of it does not do what is meant. */
export async function inspect(
  loaded: LoadedConfig,
  env: Readonly<Record<string, string | undefined>>,
): Promise<PlacedFinding[]> {
  const { config, file } = loaded;
  const found = [
    ...nothing(file, env),
    ...(await fileFindings(config, env)),
    ...ruleFindings(config),
    ...weaknessFindings(config),
  ];
  return found.map((finding) => placed(finding, loaded));
}

/** The configuration as both processes can use it. @throws ConfigurationError */
export function loadUsable(file: string | undefined, env: Readonly<Record<string, string | undefined>>): LoadedConfig {
  const loaded = loadConfig(file, env);
  const { policy, servers } = loaded.config.relay;
  if (policy !== undefined) compilePolicy(policy, Object.keys(servers), () => false);
  return loaded;
}

/** With their places, as far as the file that holds them can be read. */
export function placedProblems(
  problems: readonly Finding[],
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): PlacedFinding[] {
  let document: LoadedConfig['document'];
  try {
    ({ document } = readInput(file, env));
  } catch {
    // They say so themselves.
  }
  return problems.map((problem) => placed(problem, { document }));
}

function nothing(file: string | undefined, env: Readonly<Record<string, string | undefined>>): Finding[] {
  const { input } = readInput(file, env);
  if (isRecord(input) && Object.keys(input).length > 0) return [];
  const cause =
    file === undefined
      ? `nothing is configured: there is no postern.yaml in ${process.cwd()} and no POSTERN_… variable`
      : `nothing is configured: ${file} holds no key`;
  return [warn('configuration', cause, 'write postern.yaml, or name the file by --config or POSTERN_CONFIG')];
}
