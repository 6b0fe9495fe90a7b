import { readFile } from 'node:fs/promises';
import { errors, type JWTVerifyGetKey } from 'jose';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { keySet } from './key-set.ts';

/** Public keys that verify assertions and other proxies' tokens. */
export interface KeySource {
  readonly getKey: JWTVerifyGetKey;
  /** Answers what is wrong in a few words, or undefined where keys can be had. */
  ready(): Promise<string | undefined>;
}

/** Milliseconds between two look-ups for a key that is not known, so that strange key ids cannot drive traffic. */
const COOLDOWN = 1000;

/** Keys from a file, read again when an unknown key id turns up, because keys are rotated by replacing that file. */
export function fileKeys(path: string, now: () => number): KeySource {
  let set: ReturnType<typeof keySet> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  const read = async () => {
    readAt = now();
    try {
      set = keySet(JSON.parse(await readFile(path, 'utf8')));
    } catch (cause) {
      throw new DependencyUnavailable('the file with assertion keys', cause);
    }
    return set;
  };
  return {
    getKey: async (header, token) => {
      try {
        return await (set ?? (await read()))(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || now() - readAt < COOLDOWN) throw error;
        return (await read())(header, token);
      }
    },
    ready: async () => {
      if (set === undefined) await read();
      return undefined;
    },
  };
}
