import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
export const KEY_BYTES = 32;
const ID_BYTES = 8;
/** 96 random bits (NIST SP 800-38D §8.2.2). */
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Characters; far more than a session with several long tokens. */
const MAX_LENGTH = 1_048_576;
/** Characters, before keys were named. */
const MAX_UNNAMED = 4_096;

/** Authenticated encryption of what leaves this process and comes back. */
export interface Sealing {
  /**
   * @param purpose what it is for and to whom it belongs; opening needs the same
   * @returns base64url
   */
  seal(purpose: string, plaintext: string | Buffer): string;
  /** @returns undefined for whatever is wrong with it: which failure it was would help only an attacker */
  open(purpose: string, text: string): Buffer | undefined;
}

export interface SealingKey {
  /** Says which key sealed something, so that a rotation needs no trials. */
  readonly id: Buffer;
  readonly key: Buffer;
}

export function sealingKey(key: Buffer): SealingKey {
  return {
    id: createHash('sha256').update('postern sealing key id 1\0').update(key).digest().subarray(0, ID_BYTES),
    key,
  };
}

/** @param keys asked for each time, because they may be replaced; the first seals, all open */
export function sealingWith(keys: (missing?: Buffer) => readonly SealingKey[]): Sealing {
  return {
    seal(purpose, plaintext) {
      const { id, key } = keys()[0] as SealingKey;
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, iv);
      cipher.setAAD(bound(purpose, id));
      const body = [cipher.update(plaintext as string, 'utf8'), cipher.final()];
      return Buffer.concat([id, iv, ...body, cipher.getAuthTag()]).toString('base64url');
    },
    open(purpose, text) {
      const bytes = text.length > MAX_LENGTH ? undefined : decode(text);
      if (bytes === undefined || bytes.length < ID_BYTES + IV_BYTES + TAG_BYTES) return undefined;
      const id = bytes.subarray(0, ID_BYTES);
      const found = withId(keys(), id) ?? withId(keys(id), id);
      return found && decrypt(found.key, bound(purpose, id), bytes.subarray(ID_BYTES));
    },
  };
}

/**
 * Opens what releases before 0.2 sealed for MCP clients, which did not say by which key.
 *
 * @returns undefined for whatever is wrong with it
 */
export function openUnnamed(keys: readonly SealingKey[], purpose: string, text: string): Buffer | undefined {
  const bytes = text.length > MAX_UNNAMED ? undefined : decode(text);
  if (bytes === undefined || bytes.length < IV_BYTES + TAG_BYTES) return undefined;
  for (const { key } of keys) {
    const opened = decrypt(key, Buffer.from(purpose), bytes);
    if (opened !== undefined) return opened;
  }
  return undefined;
}

/** @returns undefined for every other spelling than the one that was given out (RFC 4648 §3.5): Node skips what does not fit */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** @param bytes initialization vector, text and tag */
function decrypt(key: Buffer, about: Buffer, bytes: Buffer): Buffer | undefined {
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(about);
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function withId(keys: readonly SealingKey[], id: Buffer): SealingKey | undefined {
  return keys.find((candidate) => candidate.id.equals(id));
}

function bound(purpose: string, id: Buffer): Buffer {
  return Buffer.concat([id, Buffer.from(`postern sealed 1\0${purpose}`)]);
}
