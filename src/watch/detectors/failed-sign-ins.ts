import { Networks, ONE_CLIENT } from '../../platform/networks.ts';
import type { Count } from './threshold.ts';

/** Ends of a sign-in that say nothing about who tried. */
const NOBODYS_FAULT: ReadonlySet<string> = new Set(['signed_in', 'unavailable']);

/** Somebody guesses callbacks, or tries accounts one after the other. */
export function failedSignInsOfClient(): Count {
  const clients = new Networks(ONE_CLIENT);
  return (observation) => {
    if (observation.kind !== 'sign_in' || NOBODYS_FAULT.has(observation.outcome)) return undefined;
    const { address, outcome } = observation;
    return { subject: clients.of(address), count: 1, address, reason: outcome };
  };
}
