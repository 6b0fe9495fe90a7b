import assert from 'node:assert/strict';
import { readTimeout } from '../../../src/platform/grpc/grpc-timeout.ts';

describe('grpc-timeout', () => {
  it('is milliseconds, rounded up', () => {
    const read = { '0n': 0, '1n': 1, '1000001n': 2, '1u': 1, '200m': 200, '5S': 5_000, '2M': 120_000, '1H': 3_600_000 };
    for (const [text, milliseconds] of Object.entries(read)) assert.equal(readTimeout(text), milliseconds, text);
  });

  it('is no longer than a timer of Node can wait', () => {
    assert.equal(readTimeout('99999999H'), 2 ** 31 - 1);
  });

  it('is eight digits and a unit, and nothing else', () => {
    for (const text of ['', 'S', '1', '1s', '-1S', '+1S', '1.5S', ' 1S', '1S ', '123456789S', '1SS', '0x1S', '١S'])
      assert.equal(readTimeout(text), undefined, text);
  });
});
