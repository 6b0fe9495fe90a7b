import { scryptSync } from 'node:crypto';
import { resolve } from 'node:path';
import { digestOf } from '../digest.ts';
import { isRecord } from '../is-record.ts';
import { configKeys } from './keys.ts';
import type { Config } from './schema.ts';

/** Of each part of a configuration: equal where the parts are equal. */
export type Fingerprints = Readonly<Record<string, string>>;

/** Its parts are compared one by one. */
const DIVIDED = new Set(['auth', 'relay']);
/** All secrets together. */
const SECRETS = 'secrets';

/**
 * Tells configurations apart without showing them. Secrets, and the environment of programs, are taken together, by a hash that is
 * slow to try guesses on.
 */
export function fingerprints(config: Config): Fingerprints {
  const secrets: string[] = [];
  const found: Record<string, string> = {};
  const isSecret = secretNames();
  const add = (part: string, content: object, at: string) => {
    found[part] = digestOf(JSON.stringify(withoutSecrets(content, at, isSecret, secrets))).slice(0, 12);
  };
  for (const [key, value] of Object.entries(config)) {
    if (!DIVIDED.has(key)) add(key, { [key]: value }, '');
    else for (const [name, part] of Object.entries(value as object)) add(`${key}.${name}`, { [name]: part }, key);
  }
  return { ...found, [SECRETS]: scryptSync(JSON.stringify(secrets), 'postern configuration', 9).toString('base64url') };
}

/** Tells files of one machine apart, wherever they are named from, without showing their paths. */
export function fileFingerprint(file: string | undefined): string | undefined {
  return file === undefined ? undefined : digestOf(resolve(file)).slice(0, 12);
}

/** @returns the parts that are not the same, in the order of the schema */
export function differences(one: Fingerprints, other: Fingerprints): string[] {
  const parts = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return parts.filter((part) => one[part] !== other[part]);
}

/** Keys that the schema marks, and those of which only the place tells that a secret is there. */
function secretNames(): (key: string, path: string) => boolean {
  const names = new Set(configKeys().flatMap(({ path, secret }) => (secret ? [path.split('.').at(-1)] : [])));
  return (key, path) => names.has(key) || key === 'value' || /\.servers\..*\.env$/.test(path);
}

function withoutSecrets(
  value: unknown,
  path: string,
  isSecret: (key: string, path: string) => boolean,
  secrets: string[],
): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, path, isSecret, secrets));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const isText =
        typeof inner === 'string' || (Array.isArray(inner) && inner.every((one) => typeof one === 'string'));
      if (!isText || !isSecret(key, path)) return [key, withoutSecrets(inner, `${path}.${key}`, isSecret, secrets)];
      secrets.push(JSON.stringify([path, key, inner]));
      return [key, null];
    }),
  );
}
