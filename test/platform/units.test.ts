import assert from 'node:assert/strict';
import { parseDuration, parseSize } from '../../src/platform/units.ts';

describe('units', () => {
  for (const [text, milliseconds] of [
    ['500ms', 500],
    ['30s', 30_000],
    ['15m', 900_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ] as const)
    it(`${text} is ${milliseconds} ms`, () => assert.equal(parseDuration(text), milliseconds));

  for (const [text, bytes] of [
    ['512B', 512],
    ['64KiB', 65_536],
    ['1.5MiB', 1_572_864],
    ['1GiB', 1_073_741_824],
  ] as const)
    it(`${text} is ${bytes} bytes`, () => assert.equal(parseSize(text), bytes));

  for (const text of ['', '10', 's', '-1s', '1 s', '1S', '1e3s', '1.s', '1w', '٣s', '1constructor'])
    it(`"${text}" is no duration`, () => assert.equal(parseDuration(text), undefined));
  for (const text of ['', '10', '1KB', '1kib', '1MB', '-1B', '1TiB'])
    it(`"${text}" is no size`, () => assert.equal(parseSize(text), undefined));
});
