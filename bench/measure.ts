import type { Measured } from './load.ts';
import type { Target } from './target.ts';

/** Seconds of one run while a server turns warm. */
const WARMING = 2;
/** Two runs in a row that differ by less: the server compiles nothing any more. */
const AGREEMENT = 0.03;
/** Runs at most; a machine that is never quiet must not keep a row for ever. */
const MOST_WARMING = 8;

export interface Sample extends Measured {
  /** Processor time of the server for one request in microseconds, user and system; NaN where it is not known. */
  readonly cpuMicros: number;
  /** Whether it had turned warm before it was measured. */
  readonly warm: boolean;
}

/**
 * One run against a server that has turned warm: the first seconds of a process are loading and compiling, not answers.
 *
 * @param load runs for so many seconds
 */
export async function measure(
  target: Target,
  load: (seconds: number) => Promise<Measured>,
  seconds: number,
): Promise<Sample> {
  const warm = await warmUp(load);
  target.toggleProfile?.();
  const before = target.cpuMicros?.() ?? Number.NaN;
  const measured = await load(seconds);
  const used = (target.cpuMicros?.() ?? Number.NaN) - before;
  target.toggleProfile?.();
  return { ...measured, cpuMicros: used / measured.requests, warm };
}

async function warmUp(load: (seconds: number) => Promise<Measured>): Promise<boolean> {
  let last = (await load(WARMING)).perSecond;
  for (let run = 1; run < MOST_WARMING; run++) {
    const next = (await load(WARMING)).perSecond;
    if (Math.abs(next - last) < AGREEMENT * last) return true;
    last = next;
  }
  return false;
}
