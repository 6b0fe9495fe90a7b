import assert from 'node:assert/strict';
import { held, row } from '../../bench/chaos/report.ts';
import { GATE } from '../../bench/chaos/stages.ts';
import { programOrSkip } from '../support/programs.ts';

/** The short form of `npm run chaos`: those in which most is lost where something is wrong. */
const SHORT = ['Redis is killed', 'Redis only reads', 'Redis is cut off from one replica'];

describe('faults under load', () => {
  it('let nobody in and sign nobody out, and are over by themselves', async function () {
    this.timeout(150_000);
    await programOrSkip(this, 'redis');
    const outcomes = await GATE.play(SHORT, 2_000, (outcome) => console.log(`      ${row(outcome)}`));
    assert.ok(held(outcomes));
    for (const { fault, after } of outcomes) {
      assert.ok((after.counts['session 200'] ?? 0) > 0 && (after.counts['bearer 200'] ?? 0) > 0, fault);
      assert.equal(after.counts['session 503'] ?? 0, 0, fault);
    }
    const [, reads] = outcomes;
    assert.equal(reads?.during.counts['session 503'] ?? 0, 0, 'sessions are read where Redis only reads');
  });
});
