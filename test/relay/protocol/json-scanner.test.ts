import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { membersOf, scanJson } from '../../../src/relay/protocol/json-scanner.ts';

describe('the walk over JSON text', () => {
  it('finds every key and number of any value, in order', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        const keys: unknown[] = [];
        const numbers: number[] = [];
        let depth = 0;
        scanJson(text, {
          open: () => {
            depth += 1;
            return false;
          },
          close: () => {
            depth -= 1;
          },
          key: (start, end) => void keys.push(JSON.parse(text.slice(start, end))),
          number: (start, end) => void numbers.push(Number(text.slice(start, end))),
        });
        assert.equal(depth, 0);
        const wanted = { keys: [] as unknown[], numbers: [] as number[] };
        collect(JSON.parse(text), wanted);
        assert.deepEqual({ keys, numbers }, wanted);
      }),
    );
  });

  it('takes objects apart so that put together they are the same', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const text = JSON.stringify(object, undefined, 2);
        const parts = membersOf(text, 0);
        assert.deepEqual(
          parts.map(({ key }) => key),
          Object.keys(JSON.parse(text)),
        );
        assert.deepEqual(
          JSON.parse(`{${parts.map(({ start, end }) => text.slice(start, end)).join(',')}}`),
          JSON.parse(text),
        );
      }),
    );
  });

  for (const [what, text] of [
    ['a string of backslashes', '{"a":"\\\\","b":1}'],
    ['an escaped quote and a brace', '{"a":"\\"}{","b":1}'],
    ['a key with a colon', '{"a:{":":","b":1}'],
  ] as const)
    it(`is not led astray by ${what}`, () => {
      assert.equal(membersOf(text, 0).length, 2);
      assert.equal(membersOf(text, 0).at(-1)?.key, 'b');
    });

  it('ends when it is told to', () => {
    let seen = 0;
    assert.equal(scanJson('[[[[]]]]', { open: () => ++seen === 2 }), true);
    assert.equal(seen, 2);
  });
});

function collect(value: unknown, found: { keys: unknown[]; numbers: number[] }): void {
  if (typeof value === 'number') found.numbers.push(value);
  else if (Array.isArray(value)) for (const item of value) collect(item, found);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) {
      found.keys.push(key);
      collect(item, found);
    }
}
