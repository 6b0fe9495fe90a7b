import { FAULTS } from './faults.ts';
import { isWell, load } from './load.ts';
import { ROLLING } from './rolling.ts';
import { type Stage, stage } from './stage.ts';
import { startSystem } from './system.ts';

/** Two forward-auths, one Redis, one identity provider. */
export const GATE: Stage = stage({ start: startSystem, load, isWell, faults: FAULTS });

/** All that can be played. */
export const STAGES: readonly Stage[] = [GATE, ...ROLLING];
