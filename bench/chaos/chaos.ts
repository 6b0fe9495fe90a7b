import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from './faults.ts';
import { isWell, load, newReport, type Report } from './load.ts';
import { type System, startSystem } from './system.ts';

export interface Outcome {
  readonly fault: string;
  readonly during: Report;
  readonly after: Report;
  /** Milliseconds from the end of the fault until everybody who may pass does, at every replica. */
  readonly recovery: number;
}

/** Milliseconds that a system has to be well again. */
const RECOVERY = 60_000;

/**
 * Plays each fault while requests come steadily.
 *
 * @param span milliseconds of each fault, and of the time after it
 */
export async function chaos(faults: Iterable<Fault>, span: number, tell: (line: string) => void): Promise<Outcome[]> {
  const system = await startSystem();
  try {
    const outcomes: Outcome[] = [];
    for (const fault of faults) {
      const outcome = await play(fault, system, span);
      outcomes.push(outcome);
      tell(row(outcome));
    }
    return outcomes;
  } finally {
    await system.stop();
  }
}

async function play(fault: Fault, system: System, span: number): Promise<Outcome> {
  const [during, after] = [newReport(), newReport()];
  let report = during;
  const stop = new AbortController();
  const loading = load(system, stop.signal, () => report);
  try {
    await Promise.all([fault.begin(system, AbortSignal.timeout(span)), sleep(span)]);
    await fault.end?.(system);
    const start = performance.now();
    while (!(await isWell(system))) {
      if (performance.now() - start > RECOVERY) throw new Error(`${fault.name}: not well again`);
      await sleep(50);
    }
    const recovery = performance.now() - start;
    report = after;
    await sleep(span);
    return { fault: fault.name, during, after, recovery };
  } finally {
    stop.abort();
    await loading;
  }
}

export const HEAD =
  '| fault | answers during it | answers after it | well again | wrong allows | sign-outs |\n|---|---|---|---|---|---|';

export function row({ fault, during, after, recovery }: Outcome): string {
  const wrong = during.wrongAllows + after.wrongAllows;
  const out = during.signOuts + after.signOuts;
  return `| ${fault} | ${counts(during)} | ${counts(after)} | ${(recovery / 1000).toFixed(1)} s | ${wrong} | ${out} |`;
}

/** Whether nobody was let in who may not be, and nobody was signed out. */
export function held(outcomes: readonly Outcome[]): boolean {
  return outcomes.every(({ during, after }) =>
    [during, after].every(({ wrongAllows, signOuts }) => wrongAllows === 0 && signOuts === 0),
  );
}

function counts({ counts: all }: Report): string {
  return Object.entries(all)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => `${name}: ${count}`)
    .join(', ');
}
