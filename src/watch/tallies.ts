import type { Identity } from '../identity/identity.ts';
import type { Observation } from './observation.ts';

interface Tally {
  readonly address: string;
  count: number;
  /** Other addresses of the same identity; mostly there are none. */
  others: Map<string, number> | undefined;
}

/** Identities counted between two looks. */
const MAX_IDENTITIES = 10_000;
/** Further addresses of one identity between two looks. */
const MAX_ADDRESSES = 64;

/** Allowed requests since the watch last looked. A request costs one look-up, because the same identity object comes again. */
export class Tallies {
  #tallies = new Map<Identity, Tally>();
  /** Requests that found no place. */
  dropped = 0;

  add(identity: Identity, address: string): void {
    const tally = this.#tallies.get(identity);
    if (tally === undefined) {
      if (this.#tallies.size >= MAX_IDENTITIES) this.dropped += 1;
      else this.#tallies.set(identity, { address, count: 1, others: undefined });
    } else if (tally.address === address) tally.count += 1;
    else this.#elsewhere(tally, address);
  }

  #elsewhere(tally: Tally, address: string): void {
    tally.others ??= new Map();
    const count = tally.others.get(address);
    if (count === undefined && tally.others.size >= MAX_ADDRESSES) this.dropped += 1;
    else tally.others.set(address, (count ?? 0) + 1);
  }

  /** What was counted; it begins anew. */
  take(): Observation[] {
    const taken = this.#tallies;
    this.#tallies = new Map();
    const observations: Observation[] = [];
    for (const [person, { address, count, others }] of taken) {
      observations.push({ kind: 'requests', person, address, count });
      for (const [other, more] of others ?? [])
        observations.push({ kind: 'requests', person, address: other, count: more });
    }
    return observations;
  }
}
