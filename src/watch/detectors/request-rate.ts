import { userOf } from '../../identity/user.ts';
import type { Count } from './threshold.ts';

/** Allowed requests of one user: a program that runs wild, or that copies everything there is. */
export const requestsOfUser: Count = (observation) => {
  if (observation.kind !== 'requests') return undefined;
  const { person, count, address } = observation;
  return { subject: userOf(person), count, person, address };
};
