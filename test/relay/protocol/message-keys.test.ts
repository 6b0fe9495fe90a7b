import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { ambiguousKey } from '../../../src/relay/protocol/message-keys.ts';

describe('keys of a message', () => {
  const ambiguous: Array<[name: string, text: string]> = [
    ['a second method', '{"method":"a","method":"b"}'],
    ['a second method written with escapes', '{"method":"a","\\u006dethod":"b"}'],
    ['a method in capitals', '{"method":"tools/list","Method":"tools/call"}'],
    ['params with a long s', '{"method":"a","params":{},"param\u017f":{}}'],
    ['a second name', '{"params":{"name":"echo","arguments":{"x":[1,{"y":"}"}]},"name":"delete_all"}}'],
    ['a name in capitals', '{"params":{"NAME":"delete_all"}}'],
    ['a second _meta', '{"params":{"_meta":{},"_meta":{}}}'],
    ['another spelling of the version', '{"params":{"_meta":{"io.modelcontextprotocol/protocolversion":"x"}}}'],
  ];
  for (const [name, text] of ambiguous) it(`refuse ${name}`, () => assert.notEqual(ambiguousKey(text), undefined));

  const plain: Array<[name: string, text: string]> = [
    ['an ordinary call', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{}}}'],
    ['arguments of any spelling', '{"params":{"name":"a","arguments":{"name":"b","Name":"c","method":"d"}}}'],
    ['texts that look like keys', '{"method":"a\\",\\"method\\":\\"b","params":{"name":"\\\\"}}'],
    ['objects in lists', '{"params":{"list":[{"name":"a"},{"NAME":"b"}]}}'],
    ['space before the colon', '{ "method" \n: "a" , "params" : { "name" : "b" } }'],
  ];
  for (const [name, text] of plain) it(`let pass ${name}`, () => assert.equal(ambiguousKey(text), undefined));

  it('find a planted second method in any message', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), (before, after) => {
        assert.equal(ambiguousKey(`{"x":${before},"method":"a","y":${after}}`), undefined);
        assert.equal(ambiguousKey(`{"method":"a","x":${before},"method":"b","y":${after}}`), 'method');
      }),
    );
  });
});
