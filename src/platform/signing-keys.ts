import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { JWK } from 'jose';
import { importSigningKey, type SigningKey } from '../identity/assertion.ts';
import { ConfigurationError } from './errors.ts';
import type { Logger } from './log.ts';
import { unreadable } from './unreadable.ts';

/** Milliseconds between two looks at the key file. */
const WATCH = 5_000;
/** Milliseconds for which a verifier may hold an old copy of the published keys. */
const PUBLISHED_COPY = 10 * 60_000;

/** The keys that sign assertions, and the public ones that go with them. */
export interface SigningKeys {
  current(): SigningKey;
  published(): JWK[];
  close(): void;
}

export interface SigningKeysConfig {
  /** JWK Set of private keys. */
  readonly keys?: string | undefined;
  readonly keysPath?: string | undefined;
  /** Milliseconds between two rotations of keys made at start. */
  readonly rotate: number;
  /** Milliseconds for which a signature is worth something. */
  readonly lifetime: number;
}

interface Dependencies {
  readonly log: Logger;
  /** Milliseconds. */
  readonly now: () => number;
  /** Path of the configuration that holds `keys` and `keysPath`. */
  readonly at: string;
}

/** @throws ConfigurationError where configured keys cannot be used */
export async function openSigningKeys(config: SigningKeysConfig, dependencies: Dependencies): Promise<SigningKeys> {
  if (config.keysPath !== undefined) return watchFile(config.keysPath, dependencies);
  if (config.keys !== undefined) return fixed(await parseKeys(config.keys, `${dependencies.at}.keys`));
  return generated(config, dependencies);
}

function fixed(keys: readonly SigningKey[]): SigningKeys {
  return {
    current: () => keys[0] as SigningKey,
    published: () => keys.map((key) => key.publicJwk),
    close: () => {},
  };
}

async function parseKeys(text: string, where: string): Promise<SigningKey[]> {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown };
    if (!Array.isArray(keys) || keys.length === 0) throw new TypeError('it holds no keys');
    return await Promise.all(keys.map((jwk) => importSigningKey(jwk as JWK)));
  } catch (cause) {
    // JSON.parse quotes what it read, which here is a private key.
    const problem = cause instanceof TypeError ? cause.message : 'it is not JSON';
    throw new ConfigurationError([
      `${where}: must be a JWK Set of private keys: ${problem}; \`postern secrets\` makes such keys`,
    ]);
  }
}

async function watchFile(path: string, { log, at }: Dependencies): Promise<SigningKeys> {
  const where = `${at}.keysPath`;
  const stamp = () => {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  };
  const read = async () => parseKeys(readFileSync(path, 'utf8'), where);
  let seen: string;
  let keys: SigningKey[];
  try {
    seen = stamp();
    keys = await read();
  } catch (cause) {
    if (cause instanceof ConfigurationError) throw cause;
    throw new ConfigurationError([`${where}: ${unreadable(path, cause)}`], cause);
  }
  const look = async () => {
    try {
      const found = stamp();
      if (found === seen) return;
      seen = found;
      keys = await read();
      log.info({ keys: keys.map((key) => key.kid) }, 'assertion keys read again');
    } catch (error) {
      log.error({ error }, 'the changed assertion keys cannot be used; the old ones stay');
    }
  };
  const timer = setInterval(() => void look(), WATCH);
  timer.unref();
  return {
    current: () => keys[0] as SigningKey,
    published: () => keys.map((key) => key.publicJwk),
    close: () => clearInterval(timer),
  };
}

/**
 * Keys of this process alone. The next key is published one whole period before it signs, so that a verifier knows it in time;
 * an old one stays until nothing that it signed, and no copy of the list, can be left.
 */
async function generated(config: SigningKeysConfig, { log, now }: Dependencies): Promise<SigningKeys> {
  let current = await generateKey();
  let next = await generateKey();
  let retired: Array<{ key: SigningKey; until: number }> = [];
  const rotate = async () => {
    const upcoming = await generateKey();
    retired = retired.filter((entry) => entry.until > now());
    retired.push({ key: current, until: now() + config.lifetime + PUBLISHED_COPY });
    current = next;
    next = upcoming;
    log.info({ kid: current.kid }, 'assertion key rotated');
  };
  // setInterval counts in 32 bits.
  const timer = setInterval(() => void rotate(), Math.min(config.rotate, 2 ** 31 - 1));
  timer.unref();
  return {
    current: () => current,
    published: () => [current, next, ...retired.map((entry) => entry.key)].map((key) => key.publicJwk),
    close: () => clearInterval(timer),
  };
}

/** ES256: OpenSSL signs with P-256 in about half the time that it takes for Ed25519. */
function generateKey(): Promise<SigningKey> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return importSigningKey(privateKey.export({ format: 'jwk' }) as JWK);
}
