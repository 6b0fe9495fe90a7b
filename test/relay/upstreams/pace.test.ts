import assert from 'node:assert/strict';
import { Pace } from '../../../src/relay/upstreams/pace.ts';

describe('the pace of noisy sources', () => {
  const real = globalThis.setTimeout;
  let waits: number[] = [];
  let due: Array<() => void> = [];
  beforeEach(() => {
    waits = [];
    due = [];
    globalThis.setTimeout = ((then: () => void, wait: number) => {
      waits.push(wait);
      due.push(then);
    }) as never;
  });
  afterEach(() => {
    globalThis.setTimeout = real;
  });

  let clock = 0;
  const open = () => new Pace({ pause: () => {}, resume: () => {} }, () => {}, { now: () => clock });
  /** More than it may do at once. */
  const flood = (pace: Pace) => pace.spent(250 + 15);

  for (const count of [1, 2, 20, 300])
    it(`${count} of them have one share together`, () => {
      const paces = Array.from({ length: count }, open);
      for (const pace of paces) flood(pace);
      // The last one knows of all others: 15 ms of work are owed, of its part of 15 %.
      assert.ok(Math.abs((waits.at(-1) as number) - (15 / 0.15) * count) < 1e-6, `${waits.at(-1)}`);
      for (const pace of paces) pace.stop();
    });

  it('one that has paid, or has ended, no longer counts', () => {
    const [first, second, third, last] = [open(), open(), open(), open()];
    flood(first);
    flood(second);
    flood(third);
    due[0]?.();
    second.stop();
    flood(last);
    assert.ok(Math.abs((waits.at(-1) as number) - 200) < 1e-6, `${waits}`);
    for (const pace of [first, third, last]) pace.stop();
  });

  it('a quiet one is never held for longer than a turn, whatever the others do', () => {
    const noisy = Array.from({ length: 50 }, open);
    for (const pace of noisy) flood(pace);
    const quiet = open();
    quiet.spent(3);
    assert.equal(waits.at(-1), 0);
    clock += 1_000;
    quiet.spent(100);
    assert.equal(waits.at(-1), 0);
    for (const pace of noisy) pace.stop();
  });
});
