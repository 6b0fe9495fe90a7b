import type { IncomingMessage } from 'node:http';
import { requestId } from '../../../platform/http.ts';
import { NO_MESSAGE } from '../../gate/gate.ts';
import type { Admitted, Intake, Refused } from '../../intake.ts';
import type { Refusal } from '../../refusal.ts';
import type { Caller } from '../../trust/caller.ts';
import { TOKEN_IN_QUERY, type TransportPath } from '../streamable-http/route.ts';
import { MODERN_NOT_HERE } from './refusals.ts';

/** Lets in a connection, or a message for one. Never throws: an outage is a refusal with 503. */
export async function admitConnection(
  intake: Intake,
  request: IncomingMessage,
  { server, query }: TransportPath,
): Promise<Admitted | Refused> {
  try {
    if (query.has('access_token')) return { refusal: TOKEN_IN_QUERY };
    const admitted = await intake.admit(request, server);
    if ('refusal' in admitted) return admitted;
    if (typeof admitted.era === 'object') return { refusal: admitted.era, caller: admitted };
    // These headers may have decided what the caller may do, and no body here would be compared with them.
    if (admitted.era === 'modern') return { refusal: MODERN_NOT_HERE, caller: admitted };
    const permit = await intake.gateOf(admitted, server, () => requestId(request)).authorize(NO_MESSAGE);
    return 'status' in permit ? { refusal: permit, caller: admitted } : admitted;
  } catch (error) {
    return { refusal: intake.failed(request, error) };
  }
}

/** Counts, records and logs a refusal of one. */
export function refusedConnection(
  intake: Intake,
  request: IncomingMessage,
  path: TransportPath | undefined,
  refusal: Refusal,
  caller: Pick<Caller, 'identity' | 'way'> | undefined,
): void {
  const who = caller === undefined ? {} : { identity: caller.identity, way: caller.way };
  intake.refused(request, refusal, { ...who, server: path?.server, transport: path?.transport });
}
