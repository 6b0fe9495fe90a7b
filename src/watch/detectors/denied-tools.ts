import { userOf } from '../../identity/user.ts';
import type { Count } from './threshold.ts';

/** A person, or an agent that was talked into it, tries tools of the relay that are not theirs. */
export const deniedToolsOfUser: Count = (observation) => {
  if (observation.kind !== 'tool_denial') return undefined;
  const { person, server, reason } = observation;
  return { subject: userOf(person), count: 1, person, server, reason };
};
