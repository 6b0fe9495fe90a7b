import { closest, distance } from 'fastest-levenshtein';
import { ConfigurationError } from '../errors.ts';
import { type ConfigKey, configKeys, envName } from './keys.ts';
import { OPEN_TELEMETRY_VARIABLES, openTelemetryValues } from './open-telemetry-environment.ts';
import { RENAMED_KEYS } from './renamed-keys.ts';
import { secretText } from './secret-files.ts';

/** Environment names of ContextForge's proxy-authentication guide and the keys they set. */
export const GUIDE_VARIABLES: Readonly<Record<string, string>> = {
  MCP_CLIENT_AUTH_ENABLED: 'relay.jwt.enabled',
  TRUST_PROXY_AUTH: 'relay.trust.enabled',
  PROXY_USER_HEADER: 'relay.trust.userHeader',
  AUTH_REQUIRED: 'relay.authRequired',
  BASIC_AUTH_USER: 'relay.admin.user',
  BASIC_AUTH_PASSWORD: 'relay.admin.password',
  MCPGATEWAY_UI_ENABLED: 'relay.admin.pages',
  MCPGATEWAY_ADMIN_API_ENABLED: 'relay.admin.api',
  ENABLE_HEADER_PASSTHROUGH: 'relay.passthrough.enabled',
  DEFAULT_PASSTHROUGH_HEADERS: 'relay.passthrough.headers',
  JWT_ALGORITHM: 'relay.jwt.algorithm',
  JWT_PUBLIC_KEY_PATH: 'relay.jwt.publicKeyPath',
  JWT_SECRET_KEY: 'relay.jwt.secretKey',
  JWT_ISSUER: 'relay.jwt.issuer',
  JWT_AUDIENCE: 'relay.jwt.audience',
  JWT_AUDIENCE_VERIFICATION: 'relay.jwt.audienceVerification',
};

/** Names of that guide which mean nothing here, and what to say of them once at start. */
const WITHOUT_MEANING: Readonly<Record<string, string>> = {
  DATABASE_URL: 'DATABASE_URL has no meaning here: Postern keeps no database',
  JWT_PRIVATE_KEY_PATH: 'JWT_PRIVATE_KEY_PATH has no meaning here: the relay verifies tokens and makes none',
  TRUST_PROXY_AUTH_DANGEROUSLY:
    'TRUST_PROXY_AUTH_DANGEROUSLY has no meaning here: TRUST_PROXY_AUTH suffices, because a proxy must prove itself',
  JWT_ISSUER_VERIFICATION:
    'JWT_ISSUER_VERIFICATION has no meaning here: the issuer of a JWT is always verified; name it by JWT_ISSUER (relay.jwt.issuer)',
  PLATFORM_ADMIN_EMAIL:
    'PLATFORM_ADMIN_EMAIL has no meaning here: there is no table of users; who is an administrator is said by relay.admin and relay.policy',
};

export interface EnvironmentValues {
  /** Nested, in the shape of the file. */
  readonly values: Record<string, unknown>;
  readonly warnings: readonly string[];
  /** Those that `…_FILE` names. */
  readonly files: readonly string[];
}

/**
 * Reads `POSTERN_…`, `…_FILE` of secrets, and the names of the guide and of OpenTelemetry.
 *
 * @param foreign section of the other process, whose secret files may be out of reach
 * @throws ConfigurationError where a value does not fit its key or a file cannot be read
 */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  foreign?: string,
): EnvironmentValues {
  const keys = configKeys().filter((key) => key.env !== undefined);
  const byPath = new Map(keys.map((key) => [key.path, key]));
  const names = new Map<string, ConfigKey>();
  for (const [name, path] of Object.entries({ ...GUIDE_VARIABLES, ...OPEN_TELEMETRY_VARIABLES }))
    names.set(name, byPath.get(path) as ConfigKey);
  for (const key of keys) names.set(key.env as string, key);
  const earlier = earlierNames(byPath, env);
  for (const [name, key] of earlier) names.set(name, key);

  const values: Record<string, unknown> = {};
  const standard = openTelemetryValues(env);
  const problems = [...standard.problems];
  for (const [name, { env: today = '' }] of earlier)
    if (env[today]) problems.push(`${name} is the earlier name of ${today}: give only the second`);
  const take = (name: string, key: ConfigKey) => {
    try {
      const text = readValue(name, key, env, foreign !== undefined && key.path.startsWith(`${foreign}.`));
      if (text !== undefined) place(values, key.path, parse(text, key));
    } catch (error) {
      problems.push(`${name} (${key.path}): ${(error as Error).message}`);
    }
  };
  listenFromGuide(env, values);
  for (const [path, value] of standard.values) place(values, path, value);
  for (const [name, key] of names) take(name, key);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return {
    values,
    files: [...names.keys()]
      .flatMap((name) => (names.get(name)?.secret ? [env[`${name}_FILE`] ?? ''] : []))
      .filter(Boolean),
    warnings: [
      ...[...earlier].map(
        ([name, key]) => `${name} is the earlier name of ${key.env}: rename it, because the next release refuses it`,
      ),
      ...unknownNames(env, names),
      ...meaningless(env),
      ...standard.warnings,
    ],
  };
}

/** Those among the earlier names of keys that are set, and the keys that they are of. */
function earlierNames(
  byPath: ReadonlyMap<string, ConfigKey>,
  env: Readonly<Record<string, string | undefined>>,
): Map<string, ConfigKey> {
  return new Map(
    Object.entries(RENAMED_KEYS).flatMap(([path, today]) => {
      const [name, key] = [envName(path), byPath.get(today)];
      return key?.env === undefined || !env[name] ? [] : [[name, key] as const];
    }),
  );
}

function readValue(
  name: string,
  key: ConfigKey,
  env: Readonly<Record<string, string | undefined>>,
  mayLack: boolean,
): string | undefined {
  const file = key.secret ? env[`${name}_FILE`] : undefined;
  if (file === undefined || file === '') {
    // A compose file names it, and nothing has set it. A proof that everybody can give would be none.
    if (env[name] === '' && key.secret && !mayLack) throw new Error('is empty: set it, or do not name it');
    return env[name] === '' ? undefined : env[name];
  }
  if (env[name] !== undefined) throw new Error(`give either ${name} or ${name}_FILE, not both`);
  try {
    return secretText(file);
  } catch (error) {
    if (mayLack) return undefined;
    throw new Error(`${name}_FILE: ${(error as Error).message}`, { cause: error });
  }
}

function parse(text: string, key: ConfigKey): unknown {
  switch (key.type) {
    case 'boolean':
      if (/^(true|1|yes|on)$/i.test(text)) return true;
      if (/^(false|0|no|off)$/i.test(text)) return false;
      throw new Error('must be true or false');
    case 'number':
      if (!/^-?\d+(\.\d+)?$/.test(text)) throw new Error('must be a number');
      return Number(text);
    case 'list':
      return text.trimStart().startsWith('[') ? parseJson(text) : text.split(',').map((item) => item.trim());
    case 'map':
      return parseJson(text);
    case 'string':
      return text;
    default:
      return key.type satisfies never;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('must be JSON');
  }
}

function place(target: Record<string, unknown>, path: string, value: unknown): void {
  const parts = path.split('.');
  const last = parts.pop() as string;
  let at = target;
  for (const part of parts) {
    at[part] ??= {};
    if (typeof at[part] !== 'object') throw new Error(`give either this or \`${part}\` as a whole`);
    at = at[part] as Record<string, unknown>;
  }
  at[last] = value;
}

/** The guide sets the relay's address as two variables. */
function listenFromGuide(env: Readonly<Record<string, string | undefined>>, values: Record<string, unknown>): void {
  if (!env.HOST && !env.PORT) return;
  const host = env.HOST || '127.0.0.1';
  place(values, 'relay.listen', `${host.includes(':') ? `[${host}]` : host}:${env.PORT || '4444'}`);
}

/** Kubernetes adds names such as `POSTERN_PORT` for a service called so: a warning, no refusal. */
function unknownNames(env: Readonly<Record<string, string | undefined>>, names: Map<string, ConfigKey>): string[] {
  const known = [...names.keys()];
  return Object.keys(env)
    .filter((name) => name.startsWith('POSTERN_') && name !== 'POSTERN_CONFIG')
    .filter((name) => !names.has(name) && names.get(name.replace(/_FILE$/, ''))?.secret !== true)
    .map((name) => {
      const near = closest(name, known);
      const hint = distance(name, near) <= 6 ? `; did you mean ${near}?` : '';
      return `${name} is not a setting of Postern and was ignored${hint}`;
    });
}

function meaningless(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(WITHOUT_MEANING)
    .filter(([name]) => env[name] !== undefined)
    .map(([, message]) => message);
}
