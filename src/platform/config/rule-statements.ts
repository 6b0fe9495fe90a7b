import { isRecord } from '../is-record.ts';
import { ANYONE_SIGNED_IN } from './anyone-signed-in.ts';
import type { ConfigDocument } from './config-document.ts';

/** A list of rules, and the key by which each states for whom it lets something through. */
const LISTS = [
  { path: ['auth', 'rules'], key: 'allow', states: (rule: Keys) => rule.public === true || states(rule.allow) },
  {
    path: ['relay', 'policy', 'rules'],
    key: 'who',
    states: (rule: Keys) => rule.effect === 'deny' || states(rule.who),
  },
] as const;

type Keys = Readonly<Record<string, unknown>>;

/** Rules that let in everybody who is signed in without saying so. Read for one release more. */
export interface SilentRules {
  readonly warnings: readonly string[];
  /** Those that end a file which may have been cut short there. */
  readonly cut: readonly string[];
}

/**
 * Finds the rules that do not state who may.
 *
 * @param input file and environment together, unchecked
 * @param document the file; absent: everything is from the environment
 * @param fromEnvironment what the environment alone sets
 */
export function silentRules(
  input: unknown,
  document: ConfigDocument | undefined,
  fromEnvironment: unknown,
): SilentRules {
  const warnings: string[] = [];
  const cut: string[] = [];
  for (const { path, key, states } of LISTS) {
    const rules = valueAt(input, path);
    if (!Array.isArray(rules)) continue;
    const open = valueAt(fromEnvironment, path) === undefined ? openRule(document, path) : undefined;
    for (const [index, rule] of rules.entries()) {
      if (!isRecord(rule) || states(rule)) continue;
      const name = `${path.join('.')}[${index}]`;
      const fix = `write \`${key}: ${ANYONE_SIGNED_IN}\` if everybody who is signed in is meant`;
      if (index === open)
        cut.push(`${name}: does not state who may, and the file ends there as if it was cut short; ${fix}`);
      else warnings.push(`${name}: does not state who may; ${fix}, because the next release refuses it`);
    }
  }
  return { warnings, cut };
}

/**
 * What is open because nothing is stated: a file that was cut before `relay.policy` reads like one without it.
 *
 * @returns a warning, or undefined where a policy is stated or there is nothing to use
 */
export function unstatedPolicy({
  policy,
  servers,
}: {
  readonly policy?: unknown;
  readonly servers: object;
}): string | undefined {
  if (policy !== undefined || Object.keys(servers).length === 0) return undefined;
  return `relay.policy: is not set, so every user whom the proxy lets through may use every tool of every server; write \`policy: { rules: [{ who: ${ANYONE_SIGNED_IN} }] }\` if that is meant`;
}

/** Index of the rule at whose end the file ends, where more could have followed. */
function openRule(document: ConfigDocument | undefined, path: readonly string[]): PropertyKey | undefined {
  const open = document?.openPath ?? [];
  return open.length > path.length + 1 && path.every((part, at) => open[at] === part) ? open[path.length] : undefined;
}

/** An empty map states nothing. */
function states(value: unknown): boolean {
  return value !== undefined && !(isRecord(value) && Object.keys(value).length === 0);
}

function valueAt(input: unknown, path: readonly string[]): unknown {
  let at = input;
  for (const part of path) at = isRecord(at) ? at[part] : undefined;
  return at;
}
