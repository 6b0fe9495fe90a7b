import type { Identity } from '../../src/identity/identity.ts';
import { DAY, HOUR, identity, MINUTE, type Watched } from './watching.ts';

const OFFICE = '198.51.100.10';
const PEOPLE = 200;
const ROBOTS = 20;
/** Hours of a working day, UTC. */
const MORNING = 8;
const EVENING = 18;

interface Colleague {
  readonly who: Identity;
  /** The networks that they are in, from the most to the least usual. */
  readonly addresses: readonly string[];
  readonly office: boolean;
}

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A company at work: people with an office, a home and a telephone, and programs that run at night too. */
export class WorkingDays {
  readonly #watched: Watched;
  readonly #random = numbers(20_260_105);
  readonly #people: readonly Colleague[];
  readonly #robots: readonly Colleague[];

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#people = Array.from({ length: PEOPLE }, (_none, at) => ({
      who: identity(`person ${at}`),
      office: at % 4 !== 0,
      // A home by IPv4 or IPv6, and a provider's three networks for telephones.
      addresses: [
        at % 3 === 0 ? `2001:db8:${(at + 1).toString(16)}:1::5` : `203.0.${at}.7`,
        ...[1, 2, 3].map((pool) => `100.64.${pool}.${at + 1}`),
      ],
    }));
    this.#robots = Array.from({ length: ROBOTS }, (_none, at) => ({
      who: { ...identity(`robot ${at}`), method: 'api-key', issuer: 'https://mcp.test/api-keys' },
      office: false,
      addresses: [1, 2, 3, 4].map((host) => `192.0.${at * 4 + host}.9`),
    }));
  }

  /** Days in which everybody shows where they work, with little traffic: for learning. */
  async settleIn(days: number): Promise<void> {
    for (let day = 0; day < days; day++) {
      for (const { who, addresses, office } of [...this.#people, ...this.#robots])
        for (const address of [...addresses, ...(office ? [OFFICE] : [])])
          if (day === 0 || this.#random() < 0.6) await this.#quietly(who, address);
      await this.#watched.at(this.#watched.clock.now + DAY);
    }
  }

  async #quietly(who: Identity, address: string): Promise<void> {
    this.#watched.watch.allowed(who, address);
    await this.#watched.at(this.#watched.clock.now + 6 * MINUTE);
  }

  /** A whole day, minute by minute. */
  async work(): Promise<void> {
    const { clock, at } = this.#watched;
    const midnight = Math.floor(clock.now / DAY) * DAY + DAY;
    for (let minute = 0; minute < 24 * 60; minute++) {
      await at(midnight + minute * MINUTE);
      const hour = minute / 60;
      if (hour >= MORNING && hour < EVENING) for (const person of this.#people) this.#person(person, hour);
      for (const robot of this.#robots) this.#robot(robot, minute);
    }
    await at(midnight + 24 * HOUR);
  }

  #person({ who, addresses, office }: Colleague, hour: number): void {
    const { watch } = this.#watched;
    const place = office && hour >= 9 && hour < 17 ? OFFICE : (addresses[this.#random() < 0.02 ? 1 : 0] as string);
    const person = who;
    if (this.#random() < 1 / 200) {
      if (this.#random() < 0.05) watch.observe({ kind: 'sign_in', outcome: 'denied', address: place });
      watch.observe({ kind: 'sign_in', outcome: 'signed_in', person, address: place });
    }
    if (this.#random() < 0.4) {
      // Sometimes an agent at full speed.
      const requests = this.#random() < 0.02 ? 900 : Math.floor(this.#random() * 20);
      for (let one = 0; one < requests; one++) watch.allowed(who, place);
    }
    if (this.#random() < 0.01) watch.observe({ kind: 'denial', person, address: place, reason: 'insufficient_scope' });
    if (this.#random() < 0.01) watch.observe({ kind: 'tool_denial', person, server: 'github', reason: 'policy' });
    if (this.#random() < 0.05) watch.observe({ kind: 'credential_refused', reason: 'token_expired', address: place });
    if (this.#random() < 0.0005)
      watch.observe({ kind: 'credential_refused', reason: 'token_malformed', address: place });
  }

  /** Every quarter of an hour, from all of its hosts at once. */
  #robot({ who, addresses }: Colleague, minute: number): void {
    if (minute % 15 !== 0) return;
    for (const address of addresses) for (let one = 0; one < 400; one++) this.#watched.watch.allowed(who, address);
  }
}
