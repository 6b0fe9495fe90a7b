import { createPublicKey } from 'node:crypto';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { pino } from 'pino';
import type { Config } from '../../platform/config/schema.ts';
import { isRecord } from '../../platform/is-record.ts';
import { openBranding } from '../../platform/pages/branding.ts';
import { openSealing } from '../../platform/sealing/sealing-keys.ts';
import { openSecret } from '../../platform/secret-source.ts';
import { openSigningKeys, type SigningKeysConfig } from '../../platform/signing-keys.ts';
import { readTlsFiles, readUpstreamTls } from '../../platform/tls.ts';
import { readTarget } from '../../stores/redis/connection-options.ts';
import { complaints, type Finding, warn } from './finding.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const SILENT = pino({ level: 'silent' });
const KEY_FIX = '`postern secrets` makes such keys';
const PEM_FIX = 'give a PEM file that this user can read';

/** Files and folders that are not there, keys that cannot be read, programs that are not found. */
export async function fileFindings(config: Config, env: Environment): Promise<Finding[]> {
  const missing = [...missingFiles(config, ''), ...missingFolders(config), ...missingPrograms(config, env)];
  const named = new Set(missing.map(({ key }) => key));
  const unusable = (await unusableKeys(config, env)).filter(({ key }) => !named.has(key));
  return [...missing, ...unusable];
}

/** Every key that ends with `Path`, and the `path` of a secret. */
function missingFiles(value: unknown, at: string): Finding[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => missingFiles(item, `${at}[${index}]`));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const key = at === '' ? name : `${at}.${name}`;
    if (typeof inner !== 'string') return missingFiles(inner, key);
    const isFile = /Path$/.test(name) || (name === 'path' && /\.credential\./.test(key));
    return isFile ? fileProblem(key, inner) : [];
  });
}

function fileProblem(key: string, path: string): Finding[] {
  const fix = `make the file ${resolve(path)}, readable for the user of the process, or name another`;
  try {
    if (!statSync(path).isFile()) return [warn(key, `${path} is not a file`, fix)];
    accessSync(path, constants.R_OK);
    return statSync(path).size === 0 ? [warn(key, `the file ${path} is empty`, fix)] : [];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return [warn(key, code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${code})`, fix)];
  }
}

function missingFolders({ audit, relay }: Config): Finding[] {
  const found: Finding[] = [];
  const look = (key: string, folder: string, access: number) => {
    const fix = `make the folder ${resolve(folder)} for the user of the process, or name another`;
    try {
      if (!statSync(folder).isDirectory()) found.push(warn(key, `${folder} is not a folder`, fix));
      else accessSync(folder, access);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const cause = code === 'ENOENT' ? `there is no folder ${folder}` : `${folder} cannot be used (${code})`;
      found.push(warn(key, cause, fix));
    }
  };
  for (const process of audit.file === undefined ? [] : ['forward-auth', 'relay']) {
    const file = (audit.file?.path ?? '').replaceAll('{process}', process);
    if (isFolder(file)) found.push(warn('audit.file.path', `${file} is a folder`, 'name a file in it'));
    const folder = dirname(file);
    if (process === 'forward-auth' || folder.includes(process))
      look('audit.file.path', folder, constants.W_OK | constants.X_OK);
  }
  for (const [name, { cwd }] of Object.entries(relay.servers))
    if (cwd !== undefined) look(`relay.servers.${name}.cwd`, cwd, constants.X_OK);
  return found;
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function missingPrograms({ relay }: Config, env: Environment): Finding[] {
  return Object.entries(relay.servers).flatMap(([name, { command, cwd, inheritEnv, env: own }]) => {
    if (command === undefined) return [];
    const path = own.PATH ?? (inheritEnv.includes('PATH') ? env.PATH : undefined) ?? '';
    const folders = command.includes('/') ? [''] : path.split(delimiter).filter((folder) => folder !== '');
    // A path is read from the folder that the program starts in.
    const places = folders.map((folder) => (folder === '' ? resolve(cwd ?? '.', command) : join(folder, command)));
    if (places.some(isProgram)) return [];
    const where = command.includes('/') ? '' : ` in PATH (${path === '' ? 'empty' : path})`;
    return [
      warn(
        `relay.servers.${name}.command`,
        `no program "${command}" is found${where}`,
        'install it where the relay runs, write its whole path, or set PATH in `env` of the server',
      ),
    ];
  });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Opens each key as the processes do. Keys of our own that are there and cannot be used let no process start. */
async function unusableKeys(config: Config, env: Environment): Promise<Finding[]> {
  const { auth, relay, redis } = config;
  const log = SILENT;
  const found: Finding[] = [];
  const look = async (open: () => unknown, fix: string, level: Finding['level'] = 'warn') =>
    found.push(...(await complaints(open, level, fix)));
  const seal = (keys: string | undefined, keysPath: string | undefined, keysAt: string) =>
    look(() => openSealing({ keys, keysPath }, { log, shared: false, keysAt, what: '' }).close(), KEY_FIX, 'fail');
  const sign = (keys: SigningKeysConfig, at: string) =>
    look(async () => (await openSigningKeys(keys, { log, now: Date.now, at })).close(), KEY_FIX, 'fail');
  await seal(auth.sessions.keys, auth.sessions.keysPath, 'auth.sessions.keys');
  await seal(relay.sessionKey, relay.sessionKeyPath, 'relay.sessionKey');
  if ((auth.assertion.keys ?? auth.assertion.keysPath) !== undefined) await sign(auth.assertion, 'auth.assertion');
  if ((relay.signing.keys ?? relay.signing.keysPath) !== undefined) await sign(relay.signing, 'relay.signing');
  const { logoPath, textsPath, ...pages } = auth.pages;
  await look(() => openBranding({ ...pages, logoPath }), 'save the logo as one of these', 'fail');
  await look(() => openBranding({ ...pages, textsPath }), 'docs/pages.md says how texts are written', 'fail');
  for (const part of ['auth', 'relay'] as const) {
    const { tls } = config[part];
    if (tls !== undefined) await look(() => readTlsFiles(tls, `${part}.tls`), PEM_FIX);
  }
  if (redis !== undefined) await look(() => readTarget(redis), PEM_FIX);
  if (relay.jwt.enabled && relay.jwt.publicKeyPath !== undefined)
    found.push(...publicKeyProblem('relay.jwt.publicKeyPath', relay.jwt.publicKeyPath));
  for (const [name, { tls, credential }] of Object.entries(relay.servers)) {
    const at = `relay.servers.${name}`;
    if (tls !== undefined) await look(() => readUpstreamTls(tls, `${at}.tls`), PEM_FIX);
    for (const [kind, location] of Object.entries({
      bearer: credential?.bearer,
      'basic.password': credential?.basic?.password,
      'header.value': credential?.header?.value,
    }))
      if (location !== undefined)
        await look(() => openSecret(location, `${at}.credential.${kind}`, { env, log }), 'give the secret there');
  }
  return found;
}

function publicKeyProblem(key: string, path: string): Finding[] {
  try {
    createPublicKey(readFileSync(path, 'utf8'));
    return [];
  } catch {
    return [warn(key, `${path} holds no public key in PEM`, PEM_FIX)];
  }
}
