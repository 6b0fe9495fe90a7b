import { randomUUID } from 'node:crypto';
import type { Credential, Fields, Outgoing } from '../credentials/credential.ts';
import { URL_ELICITATION_REQUIRED } from '../protocol/error-codes.ts';
import type { Refusal } from '../refusal.ts';
import type { AccountConnections, Missing } from './account-connections.ts';
import type { Connection } from './connection.ts';

/**
 * The account that this very person connected. Without one they are told where to connect it: never is another credential
 * taken in its place.
 *
 * @param page where they connect
 */
export function personCredential(connections: AccountConnections, page: string): Credential {
  const answer = (found: Connection | Missing, outgoing: Outgoing): Fields | Refusal =>
    typeof found === 'string'
      ? notConnected(connections.provider.settings.name, page, found, outgoing)
      : ['authorization', `Bearer ${found.accessToken}`];
  const personOf = ({ caller }: Outgoing) =>
    caller === undefined || caller.identity.method === 'anonymous' ? undefined : caller.identity;
  return {
    names: ['authorization'],
    async fields(outgoing) {
      const person = personOf(outgoing);
      return answer(person === undefined ? 'none' : await connections.usable(person), outgoing);
    },
    async renew(outgoing, refused, last) {
      const person = personOf(outgoing);
      const used = refused[refused.lastIndexOf('authorization') + 1]?.slice('Bearer '.length) ?? '';
      return answer(person === undefined ? 'none' : await connections.refused(person, used, last), outgoing);
    },
  };
}

/** HTTP 200, because a client shows a JSON-RPC error of any other status as a broken connection, and signs in anew at a 401. */
function notConnected(name: string, page: string, missing: Missing, { method, elicitsUrls }: Outgoing): Refusal {
  const what = missing === 'none' ? `your account at ${name} is not connected` : `your connection to ${name} has ended`;
  const message = `${what}: open ${page} to connect it, then try again`;
  const refusal = { status: method === 'POST' ? 200 : 403, reason: 'not_connected', message } as const;
  const params = { mode: 'url', url: page, message: `Connect your account at ${name}` };
  switch (elicitsUrls) {
    case true:
      return {
        ...refusal,
        code: URL_ELICITATION_REQUIRED,
        data: { elicitations: [{ ...params, elicitationId: randomUUID() }] },
      };
    case 'by-result':
      return {
        ...refusal,
        result: {
          resultType: 'input_required',
          inputRequests: { connect: { method: 'elicitation/create', params } },
        },
      };
    case false:
    case undefined:
      return { ...refusal, data: { url: page } };
    default:
      return elicitsUrls satisfies never;
  }
}
