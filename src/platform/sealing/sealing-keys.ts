import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { ConfigurationError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { unreadable } from '../unreadable.ts';
import { KEY_BYTES, type Sealing, type SealingKey, sealingKey, sealingWith } from './sealing.ts';

/** Milliseconds between two looks at the key file. */
const WATCH = 5_000;
/** Milliseconds between two looks because of a value that no known key sealed. */
const EAGER = 1_000;

/** Where the keys are; neither: one is made at start. */
export interface SealingKeysConfig {
  readonly keys?: string | undefined;
  readonly keysPath?: string | undefined;
}

export interface SealingDependencies {
  readonly log: Logger;
  /** Whether other processes read what this one seals: there is Redis. */
  readonly shared: boolean;
  /** Configuration key of `keys`; that of `keysPath` is the same followed by `Path`. */
  readonly keysAt: string;
  /** What is sealed, as a log line names it. */
  readonly what: string;
}

export interface RotatingSealing extends Sealing {
  /** The first seals, all open. */
  keys(): readonly SealingKey[];
  close(): void;
}

/** @throws ConfigurationError where configured keys cannot be used */
export function openSealing(
  config: SealingKeysConfig,
  { log, shared, keysAt, what }: SealingDependencies,
): RotatingSealing {
  if (config.keysPath !== undefined) return watchFile(config.keysPath, `${keysAt}Path`, log);
  if (config.keys !== undefined) return fixed(parseKeys(config.keys.split(/,|\r?\n/), keysAt));
  if (shared)
    log.warn(
      `${keysAt} is not set: ${what} are sealed with a key of this process, so a restart ends them and other ` +
        `replicas cannot read them; set ${keysAt}Path to one file for all`,
    );
  return fixed([sealingKey(randomBytes(KEY_BYTES))]);
}

function fixed(keys: readonly SealingKey[]): RotatingSealing {
  return { ...sealingWith(() => keys), keys: () => keys, close: () => {} };
}

function parseKeys(texts: readonly string[], where: string): SealingKey[] {
  const wanted = texts.map((text) => text.trim()).filter((text) => text !== '' && !text.startsWith('#'));
  if (wanted.length === 0)
    throw new ConfigurationError([
      `${where}: holds no key; give 32 bytes as base64url, such as \`postern secrets\` makes`,
    ]);
  // Which one by its place, never by its value.
  const bad = wanted.findIndex(
    (text) => !/^[\w-]{43}=?$/.test(text) || Buffer.from(text, 'base64url').length !== KEY_BYTES,
  );
  if (bad !== -1)
    throw new ConfigurationError([
      `${where}: key ${bad + 1} must be 32 bytes as base64url; \`postern secrets\` makes one`,
    ]);
  return wanted.map((text) => sealingKey(Buffer.from(text, 'base64url')));
}

function watchFile(path: string, where: string, log: Logger): RotatingSealing {
  const stamp = () => {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  };
  const read = () => parseKeys(readFileSync(path, 'utf8').split(/\r?\n/), where);
  let seen: string;
  let keys: SealingKey[];
  try {
    seen = stamp();
    keys = read();
  } catch (cause) {
    if (cause instanceof ConfigurationError) throw cause;
    throw new ConfigurationError([`${where}: ${unreadable(path, cause)}`], cause);
  }
  let looked = 0;
  const look = () => {
    looked = performance.now();
    try {
      const found = stamp();
      if (found === seen) return;
      keys = read();
      seen = found;
      log.info({ count: keys.length }, `the keys of ${where} were read again`);
    } catch (error) {
      log.error({ error }, `the changed keys of ${where} cannot be used; the old ones stay`);
    }
  };
  const timer = setInterval(look, WATCH);
  timer.unref();
  // A replica that has seen the new file already seals with a key that this one would learn a moment later.
  const current = (missing?: Buffer) => {
    if (missing !== undefined && performance.now() - looked >= EAGER) look();
    return keys;
  };
  return { ...sealingWith(current), keys: () => keys, close: () => clearInterval(timer) };
}
