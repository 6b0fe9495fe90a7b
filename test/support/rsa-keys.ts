import { generateKeyPair, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

export interface RsaKeys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** More than one test has at a time. */
const DIFFERENT = 16;
const SIZE = { modulusLength: 2048 };

const made: RsaKeys[] = [];
let drawn = 0;

/**
 * Keys of 2,048 bits that are none of the fifteen that were given before. Making one takes a processor a tenth of a second, and now
 * and then a whole one: each process makes sixteen, and gives them again.
 */
export async function rsaKeys(): Promise<RsaKeys> {
  if (made.length < DIFFERENT) made.push(await promisify(generateKeyPair)('rsa', SIZE));
  return draw();
}

/** As {@link rsaKeys}, where nobody can wait; the process does nothing else meanwhile. */
export function rsaKeysSync(): RsaKeys {
  if (made.length < DIFFERENT) made.push(generateKeyPairSync('rsa', SIZE));
  return draw();
}

function draw(): RsaKeys {
  return made[drawn++ % made.length] as RsaKeys;
}
