import { setTimeout as sleep } from 'node:timers/promises';

/** One reader of a peer's text, and texts of any length that could make it slow. */
export interface GrowthRow {
  /** Where it stands and what it is. */
  readonly reader: string;
  /** By a few words: makes a text of about so many characters. */
  readonly inputs: Readonly<Record<string, (size: number) => string>>;
  /** Reads one text, whatever comes of it. */
  readonly read: (text: string) => unknown;
}

/** Characters of the longest text that is tried: what reads it at once has no time that could grow. */
const LONGEST = 262_144;
/** Milliseconds that a reading must take before it is compared with longer ones: below, the clock and the compiler count. */
const MEASURABLE = 2;
/** Doublings between the texts that are compared: so many that a reading disturbed by twice its time decides neither way. */
const DOUBLINGS = 3;
/**
 * Milliseconds before each measurement: a text that seems to take more than linear time is measured again. A collection of garbage
 * beside it counts too, and lasts for more than one.
 */
const PAUSES = [0, 100, 500, 2_000];
/** Linear time doubles with the text, quadratic time takes four times as long. */
const MOST = 3.2;
const READINGS = 3;

/**
 * How much longer twice the text takes to read: 2 where time is linear.
 *
 * @returns 0 where the longest text is read at once
 */
export async function growthOf(read: GrowthRow['read'], make: (size: number) => string): Promise<number> {
  // The first readings are slow and say nothing: the code is compiled meanwhile.
  for (let round = 0; round < 20; round++) read(make(256));
  let growth = Number.POSITIVE_INFINITY;
  for (const pause of PAUSES) {
    if (pause > 0) await sleep(pause);
    growth = Math.min(growth, measured(read, make));
    if (isLinear(growth)) break;
  }
  return growth;
}

function measured(read: GrowthRow['read'], make: (size: number) => string): number {
  let size = 512;
  let single = 0;
  for (; single < MEASURABLE; size *= 2) {
    if (size > LONGEST) return 0;
    single = shortest(read, make(size), MEASURABLE);
  }
  size /= 2;
  const longer = shortest(read, make(size * 2 ** DOUBLINGS), single * MOST ** DOUBLINGS);
  return (longer / single) ** (1 / DOUBLINGS);
}

/** What disturbs a reading makes it longer. @param enough milliseconds: nothing shorter has to be known exactly */
function shortest(read: GrowthRow['read'], text: string, enough = 0): number {
  let time = Number.POSITIVE_INFINITY;
  for (let reading = 0; reading < READINGS && time >= enough; reading++) time = Math.min(time, timeOf(read, text));
  return time;
}

/** Whether time grows as the text does, and not faster. */
export function isLinear(growth: number): boolean {
  return growth < MOST;
}

/** Milliseconds of this process: how long the machine was busy with others says nothing. */
function timeOf(read: GrowthRow['read'], text: string): number {
  const before = process.cpuUsage();
  read(text);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
