import assert from 'node:assert/strict';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { Overloaded } from '../../src/platform/errors.ts';
import { OverloadQueue } from '../../src/platform/overload-queue.ts';

/** Milliseconds of a clock that only work moves on. */
function imagine(timeout = 100) {
  const clock = { now: 0 };
  const queue = new OverloadQueue({ timeout, now: () => clock.now });
  const done: number[] = [];
  const work = (number: number, cost: number) => () => {
    clock.now += cost;
    done.push(number);
    return number;
  };
  const ask = (number: number, cost = 1) => {
    try {
      return Promise.resolve(queue.run(work(number, cost))).catch((error) => error);
    } catch (error) {
      return Promise.resolve(error);
    }
  };
  return { clock, queue, done, work, ask };
}

describe('work for strangers', () => {
  it('runs at once, and is no promise, where there is time for it', () => {
    const { queue, work } = imagine();
    assert.equal(queue.run(work(1, 1)), 1);
    queue.close();
  });

  it('takes a bounded share of each turn of the event loop, in the order in which it came', async () => {
    const { queue, done, ask } = imagine();
    const all = Array.from({ length: 20 }, (_, number) => ask(number, 0.125));
    assert.deepEqual(done, [0, 1, 2, 3]);
    assert.equal(queue.length, 16);
    await turn();
    await turn();
    assert.ok(done.length >= 8 && done.length < 20, String(done.length));
    assert.deepEqual(
      await Promise.all(all),
      Array.from({ length: 20 }, (_, number) => number),
    );
    assert.deepEqual(
      done,
      Array.from({ length: 20 }, (_, number) => number),
    );
    assert.equal(queue.length, 0);
    queue.close();
  });

  for (const [what, cost, perTurn] of [
    ['cheap', 0.0625, 8],
    ['dear', 0.25, 2],
    ['slower than a share', 3, 1],
  ] as const)
    it(`counts the answers to it in the share: ${what} ones, with somebody who is known between each few`, async () => {
      const { clock, queue } = imagine(10_000);
      let answered = 0;
      const answer = () => {
        clock.now += cost;
        answered += 1;
      };
      const all = Array.from({ length: 500 }, async () => {
        const checked = queue.run(() => true);
        if (checked instanceof Promise) {
          await checked;
          // What answers has steps of its own.
          await Promise.resolve();
        }
        answer();
      });
      assert.equal(answered, perTurn);
      let turns = 0;
      for (let before = answered; answered < 500; before = answered) {
        await turn();
        turns += 1;
        assert.ok(answered - before <= perTurn, `${answered - before} in one turn`);
        assert.ok(turns <= 1_000, 'each turn answers some');
      }
      await Promise.all(all);
      queue.close();
    });

  for (const [what, settle] of [
    ['answers', (number: number) => Promise.resolve(number)],
    ['errors', (number: number) => Promise.reject(new Error(String(number)))],
  ] as const)
    it(`counts what goes on with work that ends at the same time: ${what}`, async () => {
      const { clock, queue } = imagine(10_000);
      let answer = () => {};
      const store = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const order: number[] = [];
      const all = Array.from({ length: 100 }, (_, number) =>
        Promise.resolve(queue.run(() => store.then(() => settle(number))))
          .catch(() => {})
          .then(() => {
            clock.now += 0.125;
            order.push(number);
          }),
      );
      await turn();
      answer();
      for (let before = 0; order.length < 100; before = order.length) {
        await turn();
        assert.ok(order.length - before <= 4, `${order.length - before} in one turn`);
      }
      await Promise.all(all);
      assert.deepEqual(
        order,
        Array.from({ length: 100 }, (_, number) => number),
      );
      await turn();
      await turn();
      assert.equal(
        queue.run(() => 'at once'),
        'at once',
      );
      queue.close();
    });

  it('is refused where the oldest has waited too long: the newest first, and who waited is served', async () => {
    const { clock, queue, ask } = imagine(100);
    const waiting = Array.from({ length: 10 }, (_, number) => ask(number, 3));
    clock.now += 101;
    assert.ok((await ask(99)) instanceof Overloaded);
    assert.deepEqual(
      await Promise.all(waiting),
      Array.from({ length: 10 }, (_, number) => number),
    );
    assert.equal(await ask(100), 100, 'it is over');
    queue.close();
  });

  it('is refused where the event loop itself is late', async () => {
    const queue = new OverloadQueue({ timeout: 20 });
    assert.equal(
      queue.run(() => 1),
      1,
    );
    for (let time = 0; time < 2; time++) {
      const until = performance.now() + 200;
      while (performance.now() < until);
      await turn();
      await sleep(1);
      if (time === 0)
        assert.equal(
          queue.run(() => 2),
          2,
          'one pause is no overload',
        );
    }
    assert.throws(() => queue.run(() => 2), Overloaded);
    await sleep(300);
    assert.equal(await queue.run(() => 3), 3);
    queue.close();
  });

  it('waits where much is under way, and goes on as that ends', async () => {
    const { queue } = imagine();
    const ends: Array<() => void> = [];
    const running = Array.from({ length: 1_000 }, () =>
      queue.run(() => new Promise<void>((resolve) => void ends.push(resolve))),
    );
    let begun = false;
    const next = queue.run(() => {
      begun = true;
    });
    await turn();
    await turn();
    assert.equal(begun, false);
    ends[0]?.();
    await next;
    assert.ok(begun);
    for (const end of ends) end();
    await Promise.all(running);
    queue.close();
  });

  it('passes errors on, and goes on after them', async () => {
    const { queue, ask } = imagine();
    const fails = () => {
      throw new Error('broken');
    };
    assert.throws(() => queue.run(fails), /broken/);
    const filled = Array.from({ length: 8 }, (_, number) => ask(number));
    await assert.rejects(Promise.resolve(queue.run(fails)), /broken/);
    await assert.rejects(Promise.resolve(queue.run(() => Promise.reject(new Error('late')))), /late/);
    assert.equal((await Promise.all(filled)).length, 8);
    queue.close();
  });
});
