import { isDeepStrictEqual } from 'node:util';
import { ConfigurationError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import type { ConfigDocument } from './config-document.ts';
import { pathText } from './issue-texts.ts';
import { withoutPath } from './keys.ts';
import { renameKeys } from './renamed-keys.ts';

/** Lists whose entries take away: where the last ones are missing, more is allowed. */
const LIMITING: ReadonlySet<string> = new Set([
  'auth.rateLimits',
  'relay.callLimits',
  'relay.pins.servers',
  'relay.policy.readOnly',
  'relay.rateLimits',
]);

/**
 * Refuses a file that ends without something that the running one has there.
 *
 * @throws ConfigurationError
 */
export function checkNothingLost(next: ConfigDocument, running: ConfigDocument): void {
  const lost = next.ended ? undefined : lostKey(next, running);
  if (lost === undefined) return;
  throw new ConfigurationError([
    `${next.path}: ends without ${lost}, which the file before has, and may be cut short; end it with a line \`...\` if it is meant`,
  ]);
}

/**
 * What a file that was cut short may have lost. Only what comes after its last value can be missing: further keys of
 * the maps, and entries of the lists, in which that value stands.
 *
 * @returns path of the first such key that the running file has; undefined where there is none
 */
function lostKey(next: ConfigDocument, running: ConfigDocument): string | undefined {
  let now: unknown = renameKeys(next.content ?? {}).input;
  let before: unknown = renameKeys(running.content ?? {}).input;
  const path: PropertyKey[] = [];
  for (const part of next.openPath) {
    const lost = missing(now, before, path);
    if (lost !== undefined) return lost;
    [now, before] = Array.isArray(now) ? entry(now, before) : [member(now, part), member(before, part)];
    path.push(part);
  }
  return undefined;
}

function missing(now: unknown, before: unknown, path: readonly PropertyKey[]): string | undefined {
  const name = pathText(path);
  if (Array.isArray(now) && Array.isArray(before))
    return LIMITING.has(name) && now.length < before.length ? `${name}[${now.length}]` : undefined;
  if (!isRecord(now) || !isRecord(before)) return undefined;
  const lost = Object.keys(before).find((key) => !isThere(now, key));
  if (lost !== undefined) return pathText([...path, lost]);
  // Where everything else is allowed, each rule takes something away.
  const { rules } = now;
  if (name !== 'relay.policy' || now.default !== 'allow' || !Array.isArray(rules) || !Array.isArray(before.rules))
    return undefined;
  return rules.length < before.rules.length ? `${name}.rules[${rules.length}]` : undefined;
}

/** A rule has one of these. */
const INSTEAD: Readonly<Record<string, string>> = { allow: 'public', public: 'allow' };

/** A secret may be given by its file instead. */
function isThere(map: Readonly<Record<string, unknown>>, key: string): boolean {
  return [key, `${key}Path`, withoutPath(key), INSTEAD[key] ?? key].some((name) => Object.hasOwn(map, name));
}

/** The last entry, and the one that it was: it begins alike, or stands at the same place. */
function entry(now: readonly unknown[], before: unknown): [unknown, unknown] {
  const last = now.at(-1);
  if (!Array.isArray(before)) return [last, undefined];
  const alike = before.find((one) => isRecord(one) && isDeepStrictEqual(first(one), first(last)));
  return [last, alike ?? before[now.length - 1]];
}

function first(value: unknown): unknown {
  return isRecord(value) ? Object.entries(value)[0] : value;
}

function member(value: unknown, part: PropertyKey): unknown {
  return isRecord(value) && typeof part === 'string' ? value[part] : undefined;
}
