import { type Person, userOf } from '../../identity/user.ts';
import type { WatchConfig } from '../../platform/config/schema.ts';
import { Networks } from '../../platform/networks.ts';
import type { Detector, Finding } from '../detector.ts';
import type { Histories } from '../histories.ts';
import { type HistorySettings, seeIn } from '../network-history.ts';
import type { Observation } from '../observation.ts';

/**
 * A user in a network that they were never seen in, and a user in two places at once: what a stolen cookie or token looks like. A
 * user who is seen for the first time is learnt for some days, so that a new colleague raises nothing.
 */
export class NetworksOfUserDetector implements Detector {
  readonly #settings: HistorySettings;
  readonly #networks: Networks;
  readonly #histories: Histories;
  readonly #wanted: { readonly new: boolean; readonly concurrent: boolean };

  constructor({ detectors, networks }: Pick<WatchConfig, 'detectors' | 'networks'>, histories: Histories) {
    const { newNetwork, concurrentNetworks } = detectors;
    this.#settings = { ...newNetwork, ...concurrentNetworks };
    this.#networks = new Networks(networks);
    this.#histories = histories;
    this.#wanted = { new: newNetwork.enabled, concurrent: concurrentNetworks.enabled };
  }

  see(observation: Observation, now: number): Finding | undefined | Promise<Finding | undefined> {
    const seen = sightingOf(observation);
    const network = seen === undefined ? '' : this.#networks.of(seen.address);
    if (seen === undefined || network === '') return undefined;
    // Most of all that is seen, and a history need not be exact to the second.
    const last = this.#histories.known(userOf(seen.person))?.networks[network]?.last;
    if (last !== undefined && now >= last && now - last < this.#settings.within / 10) return undefined;
    return this.#see({ ...seen, network }, now);
  }

  async #see(seen: Sighted & { readonly network: string }, now: number): Promise<Finding | undefined> {
    const { person, address, count, network } = seen;
    const key = userOf(person);
    const judge = async (fresh: boolean) => seeIn(await this.#histories.read(key, fresh), network, now, this.#settings);
    let update = await judge(false);
    // Another replica may have learnt it meanwhile.
    if (update.added) update = await judge(true);
    const { history, added, novelty } = update;
    await this.#histories.write(key, history, added);
    if (novelty === 'none') return undefined;
    const subject = `${key} ${network}`;
    if (novelty === 'concurrent' && this.#wanted.concurrent)
      return { kind: 'concurrent_networks', subject, count, person, address };
    return this.#wanted.new ? { kind: 'new_network', subject, count, person, address } : undefined;
  }
}

interface Sighted {
  readonly person: Person;
  readonly address: string;
  readonly count: number;
}

function sightingOf(observation: Observation): Sighted | undefined {
  if (observation.kind === 'requests') return observation;
  if (observation.kind !== 'sign_in' || observation.person === undefined) return undefined;
  return { person: observation.person, address: observation.address, count: 1 };
}
