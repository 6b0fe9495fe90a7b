import assert from 'node:assert/strict';
import { HIGHEST_PORT_BASE, quickstartPorts } from '../../src/quickstart/ports.ts';

describe('ports of the quickstart', () => {
  it('can all be opened by a browser and by fetch, which refuse some', async () => {
    for (const port of Object.values(quickstartPorts(undefined))) {
      const cause = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) }).then(
        () => undefined,
        (error: Error) => (error.cause as Error | undefined)?.message,
      );
      assert.notEqual(cause, 'bad port', `port ${port}`);
    }
  });

  it('are all different, for every base', () => {
    for (const base of [undefined, 1, 20_000, HIGHEST_PORT_BASE]) {
      const ports = Object.values(quickstartPorts(base));
      assert.equal(new Set(ports).size, ports.length);
      assert.ok(ports.every((port) => port > 0 && port <= 65_535));
    }
  });

  it('refuse a base that leaves no room', () => {
    for (const base of [-1, 1.5, HIGHEST_PORT_BASE + 1, Number.NaN])
      assert.throws(() => quickstartPorts(base), RangeError);
  });
});
