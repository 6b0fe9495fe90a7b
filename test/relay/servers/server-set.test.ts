import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { ConfiguredServer } from '../../../src/relay/servers/configured-server.ts';
import { ServerSet } from '../../../src/relay/servers/server-set.ts';

describe('replaced MCP servers', () => {
  const broken = new Error('it does not close');
  const server = () =>
    ({
      definition: 'one',
      idle: true,
      unused: true,
      close: () => Promise.reject(broken),
    }) as unknown as ConfiguredServer;

  for (const [what, next] of [
    ['removed', () => new Map<string, ConfiguredServer>()],
    ['changed', () => new Map([['a', { ...server(), close: async () => {} } as ConfiguredServer]])],
  ] as const)
    it(`that fail to close are told, and end nothing else: ${what}`, async () => {
      const told: unknown[] = [];
      const unowned: unknown[] = [];
      const onUnowned = (error: unknown) => void unowned.push(error);
      process.on('unhandledRejection', onUnowned);
      const set = new ServerSet((error) => told.push(error), 5);
      try {
        set.replace(new Map([['a', server()]]));
        await set.endRemoved(set.replace(next()).removed, 10);
        for (let turn = 0; turn < 200 && told.length === 0; turn++) await wait(5);
        assert.deepEqual(told, [broken]);
        assert.deepEqual(unowned, []);
      } finally {
        await set.close();
        process.off('unhandledRejection', onUnowned);
      }
    });
});
