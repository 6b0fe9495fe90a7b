import assert from 'node:assert/strict';
import { chaos, held } from '../../bench/chaos/chaos.ts';
import { FAULTS } from '../../bench/chaos/faults.ts';
import { programOrSkip } from '../support/programs.ts';

/** The short form of `npm run chaos`: those in which most is lost where something is wrong. */
const SHORT = ['Redis is killed', 'Redis only reads', 'Redis is cut off from one replica'];

describe('faults under load', () => {
  it('let nobody in and sign nobody out, and are over by themselves', async function () {
    this.timeout(150_000);
    await programOrSkip(this, 'redis');
    const faults = FAULTS.filter(({ name }) => SHORT.includes(name));
    assert.equal(faults.length, SHORT.length);
    const outcomes = await chaos(faults, 2_000, (line) => console.log(`      ${line}`));
    assert.ok(held(outcomes));
    for (const { fault, after } of outcomes) {
      assert.ok((after.counts['session 200'] ?? 0) > 0 && (after.counts['bearer 200'] ?? 0) > 0, fault);
      assert.equal(after.counts['session 503'] ?? 0, 0, fault);
    }
    const [, reads] = outcomes;
    assert.equal(reads?.during.counts['session 503'] ?? 0, 0, 'sessions are read where Redis only reads');
  });
});
