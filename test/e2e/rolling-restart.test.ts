import assert from 'node:assert/strict';
import { row } from '../../bench/chaos/report.ts';
import { ROLLING } from '../../bench/chaos/rolling.ts';
import { programOrSkip } from '../support/programs.ts';
import { REPLICATED } from '../support/replicated-chain.ts';

/** Milliseconds after it. */
const AFTER = 1_000;
/**
 * nginx asks for no health, so it opens connections until a port is closed. What waits to be taken at that very moment is reset, and a
 * call that was sent already may not be sent again: at most one for each relay that closes its port.
 */
const RESET: Readonly<Record<string, number>> = { nginx: 2 };

describe('a rolling restart of two forward-auths and two relays', () => {
  for (const [at, proxy] of REPLICATED.entries())
    it(`loses no call that was taken and resumes every stream behind the real ${proxy}`, async function () {
      this.timeout(240_000);
      await programOrSkip(this, proxy);
      await programOrSkip(this, 'redis');
      const stage = ROLLING[at];
      const [outcome] = (await stage?.play(stage.faults, AFTER, (one) => console.log(`      ${row(one)}`))) ?? [];
      const { 'call 200': during = 0, 'call 502': reset = 0, ...others } = outcome?.during.counts ?? {};
      assert.deepEqual(others, { 'stream resumed': 20 });
      assert.ok(reset <= (RESET[proxy] ?? 0), `${reset} calls were reset`);
      const { 'call 200': after = 0, ...lost } = outcome?.after.counts ?? {};
      assert.deepEqual(lost, {});
      assert.ok(during > 100 && after > 10, `${during} and ${after} calls`);
    });
});
