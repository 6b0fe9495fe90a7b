import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { HungServers } from '../../../src/relay/aggregate/hung-servers.ts';
import { Unreached } from '../../../src/relay/aggregate/member.ts';

const SIGNAL = new AbortController().signal;

function imagine() {
  const clock = { now: 0 };
  const hung = new HungServers(40, () => clock.now);
  let asked = 0;
  const ask = (ask: (signal: AbortSignal) => Promise<string>, owner = 'alice', server = 'slow', signal = SIGNAL) =>
    hung
      .within({
        server,
        owner,
        signal,
        ask: (limited) => {
          asked += 1;
          return ask(limited);
        },
      })
      .catch((error: unknown) => (error instanceof Unreached ? error.reason : String(error)));
  return { clock, hung, ask, asked: () => asked };
}

const never = () => new Promise<string>(() => {});
const answers = async () => 'answer';

describe('servers that hung', () => {
  it('are left out longer and longer, and asked once after each time', async () => {
    const { clock, ask, asked } = imagine();
    assert.equal(await ask(never), 'timeout');
    for (const backOff of [20, 40, 80, 160, 240, 240]) {
      const before = asked();
      clock.now += backOff - 1;
      for (let time = 0; time < 3; time++) assert.equal(await ask(never), 'timeout');
      assert.equal(asked(), before, `within ${backOff} ms`);
      clock.now += 1;
      assert.equal(await ask(never), 'timeout');
      assert.equal(asked(), before + 1);
      // What goes on beside the answer ends at the time limit.
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  });

  it('are there again for everybody with their first answer', async () => {
    const { clock, ask } = imagine();
    assert.equal(await ask(never), 'timeout');
    assert.equal(await ask(answers, 'bob'), 'answer');
    assert.equal(await ask(answers), 'timeout', 'alice is spared until her time is over');
    clock.now += 20;
    assert.equal(await ask(answers), 'answer');
    assert.equal(await ask(answers), 'answer');
  });

  it('are asked at once where they are seen to be back', async () => {
    const { hung, ask } = imagine();
    assert.equal(await ask(never), 'timeout');
    hung.askAgain('slow', 'alice');
    assert.equal(await ask(answers), 'answer');
  });

  for (const [title, given, expected] of [
    ['fail at once', () => Promise.reject(new Unreached('unreachable', 'no')), 'unreachable'],
    ['refuse', () => Promise.reject(new Unreached('refused', 'no')), 'refused'],
    ['break', () => Promise.reject(new Error('broken')), 'Error: broken'],
  ] as const)
    it(`are none that ${title}: those cost nobody time`, async () => {
      const { ask, asked } = imagine();
      for (let time = 0; time < 3; time++) assert.equal(await ask(given), expected);
      assert.equal(asked(), 3);
    });

  it('are none whose client left', async () => {
    const { ask, asked } = imagine();
    const leaving = new AbortController();
    const left = ask(never, 'alice', 'slow', leaving.signal);
    leaving.abort(new Error('gone'));
    assert.equal(await left, 'Error: gone');
    assert.equal(await ask(answers), 'answer');
    assert.equal(asked(), 2);
  });

  it('do not speak for other servers', async () => {
    const { ask } = imagine();
    assert.equal(await ask(never), 'timeout');
    assert.equal(await ask(answers, 'alice', 'other'), 'answer');
  });
});
