import { FAULTS } from './faults.ts';
import { FLOODS } from './floods.ts';
import { isWell, load, memory } from './load.ts';
import { ROLLING } from './rolling.ts';
import { type Stage, stage } from './stage.ts';
import { startClusterSystem, startSentinelSystem, startSystem } from './system.ts';
import { UPSTREAMS } from './upstreams.ts';

/** Two forward-auths, one Redis, one identity provider. */
export const GATE: Stage = stage({ start: startSystem, load, isWell, memory, faults: FAULTS });

const SENTINEL = stage({
  start: startSentinelSystem,
  load,
  isWell,
  faults: [{ name: 'Redis fails over (Sentinel)', begin: ({ group }) => group.master.kill() }],
});

const CLUSTER = stage({
  start: startClusterSystem,
  load,
  isWell,
  faults: [
    {
      name: 'a node of a Redis Cluster is away',
      begin: async ({ group }) => group.servers[1]?.kill(),
      end: async ({ group }) => group.servers[1]?.restart(),
    },
  ],
});

/** All that can be played. */
export const STAGES: readonly Stage[] = [GATE, SENTINEL, CLUSTER, UPSTREAMS, FLOODS, ...ROLLING];
