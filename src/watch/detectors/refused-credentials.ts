import { Networks, ONE_CLIENT } from '../../platform/networks.ts';
import type { Count } from './threshold.ts';

/** Why a forged or guessed credential is refused. Tokens that are old or meant for somebody else come from honest clients. */
const GUESSES: ReadonlySet<string> = new Set([
  'token_malformed',
  'token_header',
  'token_type',
  'token_algorithm',
  'token_key',
  'token_signature',
  'api_key',
  'client_certificate',
  'certificate_untrusted',
]);

/** One address sends credential after credential that nobody issued. */
export function refusedCredentialsOfClient(): Count {
  const clients = new Networks(ONE_CLIENT);
  return (observation) => {
    if (observation.kind !== 'credential_refused' || !GUESSES.has(observation.reason)) return undefined;
    const { address, reason } = observation;
    return { subject: clients.of(address), count: 1, address, reason };
  };
}
