import assert from 'node:assert/strict';
import fc from 'fast-check';
import { withTraceMeta } from '../../../src/relay/protocol/trace-meta.ts';

const CONTEXT = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: undefined };
const MINE = `"traceparent":"${CONTEXT.traceparent}"`;
const put = (text: string, context: Parameters<typeof withTraceMeta>[1] = CONTEXT) =>
  withTraceMeta(Buffer.from(text), context).toString();

describe('the trace in a message', () => {
  for (const [what, before, after] of [
    ['without parameters', '{"id":1,"method":"ping"}', `{"params":{"_meta":{${MINE}}},"id":1,"method":"ping"}`],
    ['with empty ones', '{"id":1,"method":"a","params":{ }}', `{"id":1,"method":"a","params":{"_meta":{${MINE}} }}`],
    [
      'with numbers that a parser would change',
      ' { "method" : "a", "id": 12345678901234567890, "params" : {"n": 1.0e2 } } ',
      ` { "method" : "a", "id": 12345678901234567890, "params" : {"_meta":{${MINE}},"n": 1.0e2 } } `,
    ],
    [
      'beside other entries, which stay',
      '{"params":{"_meta":{"progressToken":12345678901234567890},"name":"a"},"method":"a","id":1}',
      `{"params":{"_meta":{${MINE},"progressToken":12345678901234567890},"name":"a"},"method":"a","id":1}`,
    ],
    [
      'in place of a client’s own',
      '{"method":"a","id":1,"params":{"_meta":{"Traceparent":"x","a":[1,"]}"],"baggage":"user=me","tracestate":"y"}}}',
      `{"method":"a","id":1,"params":{"_meta":{${MINE},"a":[1,"]}"]}}}`,
    ],
    [
      'found although texts look like it',
      '{"method":"a","id":1,"params":{"arguments":{"_meta":{},"t":"\\"_meta\\":{"}}}',
      `{"method":"a","id":1,"params":{"_meta":{${MINE}},"arguments":{"_meta":{},"t":"\\"_meta\\":{"}}}`,
    ],
  ] as const)
    it(`${what}`, () => assert.equal(put(before), after));

  for (const [what, text] of [
    ['a notification', '{"method":"notifications/initialized"}'],
    ['a response', '{"id":1,"result":{}}'],
    ['parameters by position', '{"id":1,"method":"a","params":[1]}'],
    ['a _meta that is none', '{"id":1,"method":"a","params":{"_meta":null}}'],
  ] as const)
    it(`is not put into ${what}`, () => assert.equal(put(text), text));

  it('holds the state that a trace has', () => {
    const { params } = JSON.parse(put('{"id":1,"method":"a"}', { ...CONTEXT, tracestate: 'a="b",c=d' }));
    assert.deepEqual(params._meta, { traceparent: CONTEXT.traceparent, tracestate: 'a="b",c=d' });
  });

  it('changes nothing else, whatever the message holds', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.nat(3),
        (params, meta, space) => {
          const message = { id: 1, method: 'a', params: { ...params, _meta: meta } };
          const put1 = JSON.parse(put(JSON.stringify(message, undefined, space)));
          const kept = Object.entries(meta).filter(([key]) => !/^(traceparent|tracestate|baggage)$/i.test(key));
          const want = {
            ...message,
            params: { ...message.params, _meta: { ...Object.fromEntries(kept), traceparent: CONTEXT.traceparent } },
          };
          assert.deepEqual(put1, JSON.parse(JSON.stringify(want)));
        },
      ),
    );
  });
});
