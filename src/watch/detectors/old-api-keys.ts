import { userOf } from '../../identity/user.ts';
import type { Detector, Finding } from '../detector.ts';
import type { Observation } from '../observation.ts';

/** Look-ups in one second: whoever guesses keys must not keep the watch busy with them. */
const MOST = 100;

/** A key that was good once is used after its end: by a program that was forgotten, or by somebody who stole it. */
export class OldApiKeysDetector implements Detector {
  #second = 0;
  #asked = 0;

  see(observation: Observation, now: number): Promise<Finding | undefined> | undefined {
    if (observation.kind !== 'api_key_refused') return undefined;
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) this.#asked = 0;
    this.#second = second;
    this.#asked += 1;
    return this.#asked > MOST ? undefined : this.#see(observation);
  }

  async #see({ ended, address }: Extract<Observation, { kind: 'api_key_refused' }>): Promise<Finding | undefined> {
    const key = await ended();
    if (key === undefined) return undefined;
    const { person, reason } = key;
    return { kind: 'old_api_key', subject: `${userOf(person)} ${address}`, count: 1, person, reason, address };
  }
}
