import assert from 'node:assert/strict';
import { CountedWarning } from '../../src/platform/counted-warning.ts';

describe('a warning about many requests', () => {
  it('is one line at once, and one each ten seconds with the number since', () => {
    const lines: unknown[] = [];
    const clock = { now: 0 };
    const log = { warn: (...line: unknown[]) => void lines.push(line) };
    const warning = new CountedWarning(log as never, 'away', () => clock.now);
    for (let second = 0; second < 25; second++) {
      for (let time = 0; time < 100; time++) warning.warn({ error: `at ${second}` });
      clock.now += 1_000;
    }
    assert.deepEqual(lines, [
      [{ error: 'at 0', count: 1 }, 'away'],
      [{ error: 'at 10', count: 1_000 }, 'away'],
      [{ error: 'at 20', count: 1_000 }, 'away'],
    ]);
  });
});
