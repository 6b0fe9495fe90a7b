import { userOf } from '../../../identity/user.ts';
import type { Sealing } from '../../../platform/sealing/sealing.ts';
import type { Operator } from './operator.ts';

/** Milliseconds for which the forms of a page can be sent. */
const LIFETIME = 3_600_000;

/** Proves that a form is from one of our pages, made for the operator who sends it. */
export class FormTokens {
  readonly #sealing: Sealing;
  readonly #now: () => number;

  /** @param sealing of all replicas, whose keys are rotated without a form that is lost */
  constructor(sealing: Sealing, now: () => number) {
    this.#sealing = sealing;
    this.#now = now;
  }

  make(operator: Operator): string {
    return this.#sealing.seal(purpose(operator), String(this.#now() + LIFETIME));
  }

  isGood(token: string, operator: Operator): boolean {
    const ends = this.#sealing.open(purpose(operator), token)?.toString();
    return ends !== undefined && Number(ends) > this.#now();
  }
}

function purpose({ person, way }: Operator): string {
  return `postern admin forms\0${JSON.stringify([way, userOf(person)])}`;
}
