import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, it } from 'mocha';
import { parseJson } from '../../../../src/relay/protocol/json.ts';
import { weightOf } from '../../../../src/relay/protocol/json-weight.ts';

const SIZE = 1_000_000;
/** That are read and kept in one look, which takes a second and more. */
const COPIES = 2;
const FEWEST_LOOKS = 2;
const MOST_LOOKS = 6;
const list = (item: (n: number) => string) => {
  const items: string[] = [];
  for (let size = 0, n = 0; size < SIZE; n++) size += items[items.push(item(n)) - 1]?.length ?? 0;
  return `[${items.join(',')}]`;
};

const TEXTS: Readonly<Record<string, string>> = {
  'empty objects': list(() => '{}'),
  'empty lists': list(() => '[]'),
  'lists of lists': list(() => '[[[]]]'),
  'numbers of one digit': list((n) => String(n % 10)),
  'numbers beyond 2^53': list((n) => `9${1e16 + n}`),
  'numbers that keep their zeros': list((n) => `${n}.0`),
  fractions: list((n) => String(n + 0.5)),
  'short strings': list((n) => `"${n.toString(36)}"`),
  'strings with escapes': list((n) => `"\\u00e4${n}"`),
  'words in another script': list((n) => `"Größe ${n}"`),
  'objects of one member': list((n) => `{"a":${n}}`),
  'objects whose keys differ': list((n) => `{"k${n}":1}`),
  'records as servers send them': list((n) => `{"id":${n},"name":"name of ${n}","tags":["a","b"],"size":${n * 2.5}}`),
  'one object of many members': `{${list((n) => `"k${n}":${n}`).slice(1, -1)}}`,
  'one long text': JSON.stringify('x'.repeat(SIZE)),
};

describe('the weight of a message', function () {
  this.timeout(120_000);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;

  /** Bytes that stay in memory for the text and what was read from it. What others leave behind meanwhile makes it seem less. */
  function retained(text: string): number {
    const kept: unknown[] = [];
    collect();
    const before = process.memoryUsage();
    for (let copy = 0; copy < COPIES; copy++) kept.push([Buffer.from(text), parseJson(text)]);
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    assert.equal(kept.length, COPIES);
    return (heapUsed - before.heapUsed + arrayBuffers - before.arrayBuffers) / COPIES;
  }

  for (const [what, text] of Object.entries(TEXTS))
    it(`is no less than what is kept of it: ${what}`, () => {
      const weight = weightOf(Buffer.from(text));
      let real = 0;
      for (let look = 0; look < FEWEST_LOOKS || (look < MOST_LOOKS && weight > real * 6); look++)
        real = Math.max(real, retained(text));
      assert.ok(weight + text.length >= real * 0.8, `${weight} for ${Math.round(real)} of ${text.length}`);
      assert.ok(weight <= real * 6, `${weight} for ${Math.round(real)} of ${text.length}`);
    });

  it('is the length of a text whose size is mostly text, and of small ones', () => {
    const long = Buffer.from(JSON.stringify({ data: 'x'.repeat(SIZE) }));
    assert.ok(weightOf(long) < long.length * 1.01);
    assert.equal(weightOf(Buffer.from('[{},{}]')), 7);
    assert.equal(weightOf('"ä"'), 4);
  });
});
