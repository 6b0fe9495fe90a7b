import { isRecord } from '../../platform/is-record.ts';
import { URL_ELICITATION_REQUIRED } from './error-codes.ts';
import { ServerError } from './failures.ts';
import type { Json } from './json-rpc.ts';

/**
 * What older servers say by an error the stateless era says by a result: lead the person to an address, then make the call again.
 *
 * @returns undefined where the error is another one, or the client has not said that it can do that
 */
export function urlElicitations(error: unknown, { elicitation }: Json): Json | undefined {
  if (!(error instanceof ServerError) || error.code !== URL_ELICITATION_REQUIRED) return undefined;
  if (!isRecord(elicitation) || !isRecord(elicitation.url) || !isRecord(error.data)) return undefined;
  const { elicitations } = error.data;
  if (!Array.isArray(elicitations)) return undefined;
  const inputRequests = Object.fromEntries(
    elicitations
      .filter(isRecord)
      .map(({ message, url }, index) => [
        `elicitation-${index}`,
        { method: 'elicitation/create', params: { mode: 'url', message, url } },
      ]),
  );
  return Object.keys(inputRequests).length === 0 ? undefined : { resultType: 'input_required', inputRequests };
}
