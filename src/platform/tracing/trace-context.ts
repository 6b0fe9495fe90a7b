import type { TraceContext } from './span.ts';

const TRACEPARENT = 'traceparent';
const TRACESTATE = 'tracestate';
/** Characters; what is longer may be cut by anybody on the way (W3C Trace Context §3.3.1.5). */
const MAX_STATE = 512;

/** Names of fields that carry traces, in lower case. Baggage may hold what a user said and is never passed on. */
export const TRACE_FIELDS: ReadonlySet<string> = new Set([TRACEPARENT, TRACESTATE, 'baggage']);

/** What is read out of a `traceparent`. */
export interface ParsedParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** W3C Trace Context §3.2: later versions may add parts behind these. @returns undefined where it is not valid */
export function parseTraceparent(text: string): ParsedParent | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text);
  if (match === null || match[1] === 'ff' || (match[1] === '00' && match[5] !== undefined)) return undefined;
  const [, , traceId = '', spanId = '', flags = ''] = match;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/**
 * The trace context in header fields.
 *
 * @param rawHeaders names and values in turn
 * @returns undefined where there is none that is valid, or more than one (§3.2: then nobody knows whose it is)
 */
export function readTraceContext(rawHeaders: readonly string[]): TraceContext | undefined {
  let traceparent: string | undefined;
  const states: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.length !== TRACEPARENT.length && name.length !== TRACESTATE.length) continue;
    const value = rawHeaders[index + 1] as string;
    switch (name.toLowerCase()) {
      case TRACEPARENT:
        if (traceparent !== undefined) return undefined;
        traceparent = value;
        break;
      case TRACESTATE:
        states.push(value);
    }
  }
  return validContext(traceparent, states.join(','));
}

/** @param traceparent,tracestate whatever was found in their place */
export function validContext(traceparent: unknown, tracestate: unknown): TraceContext | undefined {
  if (typeof traceparent !== 'string' || parseTraceparent(traceparent) === undefined) return undefined;
  const state = typeof tracestate === 'string' && tracestate !== '' && tracestate.length <= MAX_STATE;
  return { traceparent, tracestate: state ? tracestate : undefined };
}

/** Version 00. */
export function formatTraceparent({ traceId, spanId, sampled }: ParsedParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}
