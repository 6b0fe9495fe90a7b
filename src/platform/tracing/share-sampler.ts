import { type Context, TraceFlags, trace } from '@opentelemetry/api';
import { type Sampler, SamplingDecision, type SamplingResult } from '@opentelemetry/sdk-trace';

const KEPT: SamplingResult = { decision: SamplingDecision.RECORD_AND_SAMPLED };
/** Recorded all the same, because how it ends may be a reason to keep it. */
const PERHAPS: SamplingResult = { decision: SamplingDecision.RECORD };

/**
 * Keeps a share of the traces that begin here, and all or nothing of one trace. The share is drawn by our own chance: OpenTelemetry's
 * ratio looks at the trace id, which a client may have chosen.
 */
export class ShareSampler implements Sampler {
  readonly #share: number;
  readonly #followsRemote: boolean;
  readonly #random: () => number;

  /** @param followsRemote whether the caller's own decision holds here */
  constructor(share: number, followsRemote: boolean, random: () => number) {
    this.#share = share;
    this.#followsRemote = followsRemote;
    this.#random = random;
  }

  shouldSample(context: Context): SamplingResult {
    const parent = trace.getSpanContext(context);
    if (parent !== undefined && (parent.isRemote !== true || this.#followsRemote))
      return (parent.traceFlags & TraceFlags.SAMPLED) !== 0 ? KEPT : PERHAPS;
    return this.#random() < this.#share ? KEPT : PERHAPS;
  }

  toString(): string {
    return `ShareSampler{${this.#share}}`;
  }
}
