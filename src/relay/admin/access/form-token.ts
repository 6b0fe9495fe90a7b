import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { userOf } from '../../../identity/user.ts';
import type { Operator } from './operator.ts';

/** Milliseconds for which the forms of a page can be sent. */
const LIFETIME = 3_600_000;

/** Proves that a form is from one of our pages, made for the operator who sends it. */
export class FormTokens {
  readonly #key: Buffer;
  readonly #now: () => number;

  /** @param secret shared by all replicas; undefined: the forms of one process only */
  constructor(secret: string | undefined, now: () => number) {
    this.#key =
      secret === undefined ? randomBytes(32) : Buffer.from(hkdfSync('sha256', secret, '', 'postern admin forms', 32));
    this.#now = now;
  }

  make(operator: Operator): string {
    const ends = String(this.#now() + LIFETIME);
    return `${ends}.${this.#sign(operator, ends).toString('base64url')}`;
  }

  isGood(token: string, operator: Operator): boolean {
    const [ends = '', signature = ''] = token.split('.');
    const [given, expected] = [Buffer.from(signature, 'base64url'), this.#sign(operator, ends)];
    return given.length === expected.length && timingSafeEqual(given, expected) && Number(ends) > this.#now();
  }

  #sign({ person, way }: Operator, ends: string): Buffer {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([way, userOf(person), ends]))
      .digest();
  }
}
