import { userOf } from '../../identity/user.ts';
import type { Count } from './threshold.ts';

/** Somebody who is signed in tries doors at forward-auth. By subject, because a refusal does not know the issuer. */
export const denialsOfUser: Count = (observation) => {
  if (observation.kind !== 'denial') return undefined;
  const { person, address, reason } = observation;
  return { subject: userOf(person), count: 1, person, address, reason };
};
