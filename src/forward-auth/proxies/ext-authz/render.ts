import { IDENTITY_HEADER_NAMES } from '../../../identity/headers.ts';
import { STATUS } from '../../../platform/grpc/status.ts';
import type { Decision } from '../../decision/decision.ts';
import type { CheckResult, ProxyAnswer } from '../../decision/proxy-check.ts';
import { claimedNames } from './claimed-names.ts';
import type { EnvoyCheckResponse, HeaderValueOption, StructValue } from './messages.ts';

/** Key of the metadata. */
export const REQUEST_ID = 'request_id';
/** envoy.config.core.v3.HeaderValueOption.HeaderAppendAction */
const APPEND = 0;
const OVERWRITE = 2;
const OWN_NAMES = IDENTITY_HEADER_NAMES.map((name) => name.toLowerCase());
/** Of our own answer, not of the request that goes on. */
const ABOUT_THE_ANSWER = new Set(['content-length', 'cache-control']);

/**
 * A result as Envoy takes it. An answer without a status, or with status 0 beside a denial, lets the request through; so
 * the status is set last, by {@link conclude}, on what the answer really became.
 *
 * @param received the client's headers, name and value alternating
 * @param requestId names the request in access logs
 */
export function renderResult(result: CheckResult, received: readonly string[], requestId: string): EnvoyCheckResponse {
  const { decision, answer } = result;
  const allowed = decision.kind === 'allow' && answer.status === 200;
  const dynamic_metadata = { fields: metadataOf(decision, requestId) };
  return conclude(
    result,
    allowed
      ? { ok_response: okOf(answer.headers, received), dynamic_metadata }
      : { denied_response: deniedOf(answer), dynamic_metadata },
  );
}

function conclude({ decision, answer }: CheckResult, response: EnvoyCheckResponse): EnvoyCheckResponse {
  const allowed =
    decision.kind === 'allow' &&
    answer.status === 200 &&
    response.ok_response !== undefined &&
    response.denied_response === undefined;
  response.status = { code: allowed ? STATUS.OK : STATUS.PERMISSION_DENIED, message: decision.reason };
  return response;
}

function okOf(headers: readonly string[], received: readonly string[]): NonNullable<EnvoyCheckResponse['ok_response']> {
  const set: HeaderValueOption[] = [];
  const cookies: HeaderValueOption[] = [];
  // Whatever the answer does not name would go on as the client sent it.
  const remove = new Set([...OWN_NAMES, ...claimedNames(received)]);
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    const value = headers[i + 1] as string;
    if (ABOUT_THE_ANSWER.has(name)) continue;
    if (name === 'set-cookie') cookies.push(option(name, value, true));
    else if (value === '') remove.add(name);
    else {
      remove.delete(name);
      set.push(option(name, value, false));
    }
  }
  return { headers: set, headers_to_remove: [...remove], response_headers_to_add: cookies };
}

function deniedOf({ status, headers, body }: ProxyAnswer): NonNullable<EnvoyCheckResponse['denied_response']> {
  const options: HeaderValueOption[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    // Envoy counts the body itself. In a denial it drops what is appended, and adds each of what is set.
    if (name !== 'content-length') options.push(option(name, headers[i + 1] as string, false));
  }
  // Whatever went wrong before, a denial is never told to the client as a success.
  return { status: { code: status >= 300 ? status : 403 }, headers: options, body };
}

/** Both ways of saying it: Envoy up to 1.37 looked at `append` alone in some places. */
function option(key: string, value: string, append: boolean): HeaderValueOption {
  return { header: { key, value }, append: { value: append }, append_action: append ? APPEND : OVERWRITE };
}

/** For Envoy's access logs and rate limits, as `envoy.filters.http.ext_authz`. */
function metadataOf(decision: Decision, requestId: string): Record<string, StructValue> {
  const text = (string_value: string): StructValue => ({ string_value });
  const common = {
    decision: text(decision.kind),
    reason: text(decision.reason),
    rule: text('rule' in decision ? decision.rule : ''),
    [REQUEST_ID]: text(requestId),
  };
  if (decision.kind !== 'allow') return common;
  const { subject, method, issuer, groups } = decision.identity;
  return {
    ...common,
    subject: text(subject),
    method: text(method),
    issuer: text(issuer),
    groups: { list_value: { values: groups.map(text) } },
  };
}
