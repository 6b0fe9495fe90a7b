import { isRecord } from '../is-record.ts';

/** What looks at its file by itself. */
const LOOKED_AT = new Set(['keysPath', 'sessionKeyPath']);
const LISTENERS = new Set(['auth.tls', 'relay.tls']);

/** Paths of the files that a configuration names and that are read with it. */
export function namedFiles(config: unknown, at = ''): string[] {
  if (Array.isArray(config)) return config.flatMap((item) => namedFiles(item, `${at}[]`));
  if (!isRecord(config) || LISTENERS.has(at)) return [];
  return Object.entries(config).flatMap(([key, value]) => {
    if (typeof value !== 'string') return namedFiles(value, at === '' ? key : `${at}.${key}`);
    return key.endsWith('Path') && !LOOKED_AT.has(key) ? [value] : [];
  });
}
