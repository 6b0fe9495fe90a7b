import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Text that goes to a client and comes back: unreadable on the way, and worthless where one bit of it was changed. */
export class SealedText {
  readonly #key: Buffer;
  readonly #purpose: Buffer;
  readonly #maxLength: number;

  /**
   * @param key 32 bytes
   * @param purpose binds what is sealed to its use and layout: nothing sealed for one purpose opens for another
   * @param maxLength characters of sealed text that are looked at at all
   */
  constructor(key: Buffer, purpose: string, maxLength: number) {
    this.#key = key;
    this.#purpose = Buffer.from(purpose);
    this.#maxLength = maxLength;
  }

  /** @returns base64url */
  seal(text: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, iv);
    cipher.setAAD(this.#purpose);
    const parts = [iv, cipher.update(text, 'utf8'), cipher.final()];
    return Buffer.concat([...parts, cipher.getAuthTag()]).toString('base64url');
  }

  /** @returns undefined for everything that was not sealed here for this purpose, whatever is wrong with it */
  open(sealed: string): string | undefined {
    if (sealed.length > this.#maxLength || !/^[\w-]+$/.test(sealed)) return undefined;
    const bytes = Buffer.from(sealed, 'base64url');
    if (bytes.length <= IV_BYTES + TAG_BYTES) return undefined;
    const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(this.#purpose);
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      return decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      return undefined;
    }
  }
}
