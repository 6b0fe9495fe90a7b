import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { JsonNumber, parseJson, withPlainNumbers, writeJson } from '../../../src/relay/protocol/json.ts';
import { isSameId } from '../../../src/relay/protocol/json-rpc.ts';
import { parseMessage } from '../../../src/relay/protocol/message.ts';

/** Digits, perhaps with a fraction and an exponent (RFC 8259 §6). */
const NUMBER = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.bigInt({ min: 0n, max: 10n ** 30n }),
    fc.constantFrom('', '.0', '.50', '.123456789012345678901'),
    fc.constantFrom('', 'e0', 'E+2', 'e-400', 'e400'),
  )
  .map(([sign, digits, fraction, exponent]) => `${sign}${digits}${fraction}${exponent}`);

describe('JSON that is read and written again', () => {
  it('has every number as it came', () => {
    fc.assert(
      fc.property(fc.array(NUMBER), fc.string(), (numbers, text) => {
        const json = `{"list":[${numbers.join(',')}],${JSON.stringify(text)}:{"text":${JSON.stringify(numbers.join())}}}`;
        const read = parseJson(json) as { list: unknown[] };
        assert.equal(writeJson(read.list), `[${numbers.join(',')}]`);
      }),
    );
  });

  it('is what JSON.parse and JSON.stringify make of it where that loses nothing', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const value: unknown = JSON.parse(json);
        assert.equal(writeJson(value), JSON.stringify(value));
        assert.deepEqual(withPlainNumbers(parseJson(json)), JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('shows who writes it otherwise the nearest number, and never how it was kept', () => {
    const value = parseJson('{"a":725653563933458432,"b":[1.0]}') as { a: unknown };
    assert.equal(JSON.stringify(value), '{"a":725653563933458400,"b":[1]}');
    assert.ok(value.a instanceof JsonNumber);
    assert.equal(`${String(value.a)} ${Number(value.a)}`, '725653563933458432 725653563933458400');
  });

  it('is changed in one place and keeps the others', () => {
    const value = parseJson('{"id":1,"params":{"x":1.10,"y":2e2}}') as Record<string, unknown>;
    assert.equal(writeJson({ ...value, id: 'own' }), '{"id":"own","params":{"x":1.10,"y":2e2}}');
  });

  it('compares equal ids', () => {
    const [one, same, other] = parseJson('[9007199254740993,9007199254740993,9007199254740992]') as unknown[];
    assert.ok(one === same && isSameId(one, same) && !isSameId(one, other));
    assert.ok(isSameId(1, parseJson('1.0')) && isSameId('a', 'a') && !isSameId('1', 1));
  });

  for (const id of ['9007199254740993', '1e400', '-725653563933458433'])
    it(`keeps the id ${id} of what is refused`, () => {
      const parsed = parseMessage(Buffer.from(`{"params":{"id":2},"id":${id},"jsonrpc":"1.0","method":"ping"}`));
      assert.ok('refusal' in parsed);
      assert.equal(writeJson(parsed.id), id);
    });
});
