import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import type { SuspendedCall } from '../../../src/relay/eras/modern/suspended-call.ts';
import { SuspendedCalls } from '../../../src/relay/eras/modern/suspended-calls.ts';

const waiting = new SuspendedCalls(8);

function call(): SuspendedCall & { ended: boolean } {
  const one = { ended: false, end: () => {} };
  one.end = () => {
    one.ended = true;
  };
  return one as unknown as SuspendedCall & { ended: boolean };
}

describe('calls that wait for their clients', () => {
  afterEach(() => waiting.close());

  it('end with the oldest where a person has dismissed too many, and nobody else loses one', () => {
    const other = call();
    const others = waiting.keep(other, 'bob', 'call');
    const calls = Array.from({ length: 10 }, call);
    const states = calls.map((one) => waiting.keep(one, 'alice', 'call'));
    assert.deepEqual(
      calls.map(({ ended }) => ended),
      [true, true, ...Array(8).fill(false)],
    );
    assert.equal(waiting.take(states[0] ?? '', 'alice', 'call'), undefined);
    assert.equal(waiting.take(states[2] ?? '', 'alice', 'call'), calls[2]);
    waiting.keep(call(), 'alice', 'call');
    assert.equal(calls[3]?.ended, false);
    assert.equal(waiting.take(others, 'bob', 'call'), other);
    assert.equal(other.ended, false);
  });
});
