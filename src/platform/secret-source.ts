import { readFileSync, statSync } from 'node:fs';
import { ConfigurationError } from './errors.ts';
import type { Logger } from './log.ts';
import { unreadable } from './unreadable.ts';

/** Where a secret inside a list or a map comes from: exactly one of them. */
export interface SecretLocation {
  readonly value?: string | undefined;
  /** Name of an environment variable. */
  readonly env?: string | undefined;
  readonly path?: string | undefined;
}

export interface Secret {
  current(): string;
  /** Looks at its file now. @returns whether there is another secret than before */
  look(): boolean;
}

export interface SecretDependencies {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

/** Milliseconds between two looks at a file. */
const WATCH = 2_000;
/** Bytes. */
const MAX_LENGTH = 16_384;

/**
 * A secret that can be replaced while the process runs, where it comes from a file.
 *
 * @param at path of the configuration, for messages
 * @throws ConfigurationError where there is none; its message never holds the secret
 */
export function openSecret(location: SecretLocation, at: string, { env, log }: SecretDependencies): Secret {
  const { path } = location;
  if (path === undefined) {
    const text = location.env === undefined ? location.value : env[location.env];
    if (text === undefined) throw new ConfigurationError([`${at}.env: the variable ${location.env} is not set`]);
    const fixed = checked(text, location.env === undefined ? `${at}.value` : `${at}.env`);
    return { current: () => fixed, look: () => false };
  }
  const where = `${at}.path`;
  let stamp = '';
  let looked = performance.now();
  const read = (): string => {
    try {
      stamp = stampOf(path);
      return checked(readFileSync(path, 'utf8'), where);
    } catch (cause) {
      if (cause instanceof ConfigurationError) throw cause;
      throw new ConfigurationError([`${where}: ${unreadable(path, cause)}`], cause);
    }
  };
  let secret = read();
  const look = (): boolean => {
    looked = performance.now();
    const before = secret;
    try {
      if (stampOf(path) !== stamp) secret = read();
    } catch (error) {
      log.error({ error }, `the changed file of ${where} cannot be used; the old secret stays`);
    }
    return secret !== before;
  };
  return {
    current: () => {
      if (performance.now() - looked >= WATCH) look();
      return secret;
    },
    look,
  };
}

function stampOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}

/** It may become a header, in which a line break would start another one. */
function checked(text: string, where: string): string {
  const secret = text.replace(/\r?\n$/, '');
  if (secret === '') throw new ConfigurationError([`${where}: is empty`]);
  if (secret.length > MAX_LENGTH || !/^[\x20-\x7e]+$/.test(secret))
    throw new ConfigurationError([`${where}: must be one line of at most ${MAX_LENGTH} visible ASCII characters`]);
  return secret;
}
