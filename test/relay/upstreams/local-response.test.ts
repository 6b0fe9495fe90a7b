import assert from 'node:assert/strict';
import { LocalResponse } from '../../../src/relay/upstreams/local-response.ts';

const budget = { take: () => ({ add: () => undefined, reduce: () => {}, release: () => {} }) };

/** So many messages wait for a reader, which takes one at a time. @returns milliseconds of this process until it has them all */
function timeToRead(messages: number): number {
  const read: number[] = [];
  const response: LocalResponse = new LocalResponse(
    {
      onResponseData(controller, chunk) {
        read.push(Number(chunk));
        controller.pause();
      },
    },
    100 * messages,
    budget,
  );
  response.pause();
  for (let message = 0; message < messages; message++) response.write(String(message));
  const before = process.cpuUsage();
  while (read.length < messages) {
    response.resume();
    // Others come meanwhile, and have their turn.
    if (read.length === 1) response.write(String(messages));
  }
  const { user, system } = process.cpuUsage(before);
  assert.ok(read.every((message, index) => message === index));
  return (user + system) / 1_000;
}

describe('what waits for a slow reader', () => {
  it('is read in its order, in a time that grows as it does', function () {
    this.timeout(120_000);
    timeToRead(1_000);
    const once = Math.min(timeToRead(15_000), timeToRead(15_000));
    const growth = timeToRead(60_000) / once;
    assert.ok(growth < 20, `four times the messages take ${growth.toFixed(1)} times as long`);
  });
});
