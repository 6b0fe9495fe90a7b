import { existsSync, readFileSync } from 'node:fs';
import { ConfigurationError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import { unreadable } from '../unreadable.ts';
import { type ConfigDocument, parseConfigDocument } from './config-document.ts';

const DEFAULT_FILE = 'postern.yaml';

/** Where the processes answer about themselves unless the configuration says otherwise. */
export const INTERNAL_LISTEN = { auth: '127.0.0.1:9464', relay: '127.0.0.1:9465' } as const;

/** @returns the file of the command line, `POSTERN_CONFIG`, or `./postern.yaml` where it exists */
export function configPath(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  return file ?? env.POSTERN_CONFIG ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
}

/** @throws ConfigurationError where it cannot be read, or is no map of keys */
export function readConfigFile(path: string): ConfigDocument {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError([unreadable(path, cause)], cause);
  }
  const document = parseConfigDocument(path, text);
  // The environment is merged over it, which would hide a list or a text.
  if (!isRecord(document.content ?? {})) throw new ConfigurationError([`${path}: must be a map of keys`]);
  return document;
}
