import { LRUCache } from 'lru-cache';
import type { Allow } from '../../decision/decision.ts';
import type { CheckResult } from '../../decision/proxy-check.ts';
import { claimedNames } from './claimed-names.ts';
import { CHECK_RESPONSE, type EnvoyCheckResponse, STRUCT } from './messages.ts';
import { REQUEST_ID, renderResult } from './render.ts';

/** Bytes of all that are remembered. */
const MAX_SIZE = 8 * 1024 * 1024;
/** Of `CheckResponse.dynamic_metadata`: number 4, with a length. */
const METADATA_TAG = (4 << 3) | 2;

/** An allow without the request's id, which alone differs from one request to the next. */
interface Template {
  readonly decision: Pick<Allow, 'identity' | 'reason' | 'rule'>;
  /** All of the message but its metadata. */
  readonly message: Uint8Array;
  /** The metadata; more entries can stand behind. */
  readonly metadata: Uint8Array;
}

/**
 * What goes over the wire for a result. The same headers are given again and again to somebody who asks for one thing, and encoding
 * them takes longer than the decision; so allows are remembered by their list of headers.
 */
export class EncodedAnswers {
  readonly #templates = new LRUCache<readonly string[], Template>({
    maxSize: MAX_SIZE,
    sizeCalculation: ({ message, metadata }) => message.length + metadata.length,
  });

  /**
   * @param received the client's headers, name and value alternating
   * @param requestId names the request in access logs
   * @returns the message in parts
   * @throws TypeError rather than an answer without a status, which is an allow to Envoy
   */
  encode(result: CheckResult, received: readonly string[], requestId: string): readonly Uint8Array[] {
    const decision = sharedAllow(result);
    if (decision === undefined || claimedNames(received).length > 0)
      return [encoded(renderResult(result, received, requestId))];
    const { message, metadata } = this.#templateOf(result, decision);
    const entry = STRUCT.encode({ fields: { [REQUEST_ID]: { string_value: requestId } } });
    return [message, tagged(metadata.length + entry.length), metadata, entry];
  }

  #templateOf(result: CheckResult, decision: Allow): Template {
    const { headers } = result.answer;
    const known = this.#templates.get(headers);
    if (known !== undefined && isSame(known.decision, decision)) return known;
    const { dynamic_metadata: described, ...response } = renderResult(result, [], '');
    const { [REQUEST_ID]: _, ...fields } = described.fields;
    const { identity, reason, rule } = decision;
    const template = {
      decision: { identity, reason, rule },
      message: encoded(response),
      metadata: STRUCT.encode({ fields }),
    };
    this.#templates.set(headers, template);
    return template;
  }
}

/** @returns an allow that others get as well: cookies belong to one request, and an allow with another status is refused */
function sharedAllow({ decision, answer }: CheckResult): Allow | undefined {
  if (decision.kind !== 'allow' || answer.status !== 200) return undefined;
  return decision.cookies === undefined && decision.upstreamCookie === undefined ? decision : undefined;
}

function isSame(one: Template['decision'], other: Template['decision']): boolean {
  return one.identity === other.identity && one.rule === other.rule && one.reason === other.reason;
}

function encoded(response: Partial<EnvoyCheckResponse>): Uint8Array {
  if (response.status === undefined) throw new TypeError('an answer without a status');
  return CHECK_RESPONSE.encode(response);
}

/** Number and length of the metadata, as protobuf writes them (Encoding, “Base 128 Varints”). */
function tagged(length: number): Uint8Array {
  const bytes = [METADATA_TAG];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
