import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { printed, smallest } from './support/smallest.ts';

const CASES = Array.from({ length: 16 }, (_, at) => at);

/** Those of the sixteen that are left where it takes all of these to fail. */
const leftOf = (...guilty: number[]) => smallest(CASES, async (some) => guilty.every((one) => some.includes(one)));

describe('what is said of a hostile case that fails among others', () => {
  for (const guilty of [0, 7, 8, 15])
    it(`names number ${guilty} alone`, async () => assert.deepEqual(await leftOf(guilty), [guilty]));

  it('names the smallest part that holds two which fail together', async () => {
    assert.deepEqual(await leftOf(4, 6), [4, 5, 6, 7]);
    assert.deepEqual(await leftOf(0, 15), CASES);
  });

  it('prints every byte, so that the case can be copied', () => {
    const pieces = [Buffer.from([0xf1, 0x01, 0x41]), Buffer.from('"\r\n')];
    const text = printed({ pieces, atEnd: 'reset' });
    assert.equal(text, String.raw`["\u00f1\u0001A","\"\r\n"], then reset`);
    const copied = JSON.parse(text.replace(/, then reset$/, '')) as string[];
    assert.deepEqual(
      copied.map((piece) => Buffer.from(piece, 'latin1')),
      pieces,
    );
  });

  it('names all where none fails again', async () => {
    assert.deepEqual(await smallest(CASES, async () => false), CASES);
  });
});
