import assert from 'node:assert/strict';
import { parseTraceparent, readTraceContext } from '../../../src/platform/tracing/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const GOOD = `00-${TRACE}-00f067aa0ba902b7-01`;

describe('W3C Trace Context', () => {
  it('is read', () => {
    assert.deepEqual(parseTraceparent(GOOD), { traceId: TRACE, spanId: '00f067aa0ba902b7', sampled: true });
    assert.equal(parseTraceparent(`00-${TRACE}-00f067aa0ba902b7-00`)?.sampled, false);
    // §3.2.3: a later version may have more parts, and its flags are read as those of version 00.
    assert.equal(parseTraceparent(`cc-${TRACE}-00f067aa0ba902b7-09-more`)?.sampled, true);
  });

  for (const wrong of [
    '',
    `ff-${TRACE}-00f067aa0ba902b7-01`,
    `00-${TRACE}-00f067aa0ba902b7-01-more`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE}-0000000000000000-01`,
    `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${TRACE}-00f067aa0ba902b7-1`,
    `${GOOD}\n`,
    `${GOOD}, ${GOOD}`,
  ])
    it(`is not valid: ${JSON.stringify(wrong)}`, () => assert.equal(parseTraceparent(wrong), undefined));

  it('counts only where it came once', () => {
    assert.deepEqual(readTraceContext(['Traceparent', GOOD, 'TraceState', 'a=1', 'tracestate', 'b=2']), {
      traceparent: GOOD,
      tracestate: 'a=1,b=2',
    });
    assert.equal(readTraceContext(['traceparent', GOOD, 'TRACEPARENT', GOOD]), undefined);
    assert.equal(readTraceContext(['tracestate', 'a=1']), undefined);
  });

  it('takes no state that is too long', () => {
    const context = readTraceContext(['traceparent', GOOD, 'tracestate', `a=${'x'.repeat(600)}`]);
    assert.deepEqual(context, { traceparent: GOOD, tracestate: undefined });
  });
});
