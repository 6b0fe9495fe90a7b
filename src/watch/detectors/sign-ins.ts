import { userOf } from '../../identity/user.ts';
import type { Count } from './threshold.ts';

/** One user signs in again and again: sessions that do not hold, or somebody else who can sign in as them. */
export const signInsOfUser: Count = (observation) => {
  if (observation.kind !== 'sign_in' || observation.outcome !== 'signed_in') return undefined;
  const { person, address } = observation;
  return person === undefined ? undefined : { subject: userOf(person), count: 1, person, address };
};
