import { setTimeout as sleep } from 'node:timers/promises';
import { newReport, type Outcome, type Report } from './report.ts';

/** Something that goes wrong in a system. */
export interface Fault<System> {
  readonly name: string;
  /** Begins it; ends with it, or with the signal. */
  readonly begin: (system: System, signal: AbortSignal, report: Report) => Promise<unknown>;
  readonly end?: (system: System) => Promise<unknown>;
}

/** Processes, what asks them steadily, and what can go wrong. */
export interface StageParts<System extends { stop(): Promise<void> }> {
  /** @throws Error where a program is missing */
  readonly start: () => Promise<System>;
  /** Asks steadily until the signal ends it. @param report of the phase that is on when a request begins */
  readonly load: (system: System, signal: AbortSignal, report: () => Report) => Promise<void>;
  /** Whether everybody who may pass does, everywhere. */
  readonly isWell: (system: System) => Promise<boolean>;
  readonly faults: ReadonlyArray<Fault<System>>;
  /** Bytes that each process has. */
  readonly memory?: (system: System) => Promise<number[]>;
}

export interface Stage {
  /** Names of its faults. */
  readonly faults: readonly string[];
  /**
   * Plays faults by name, one after another, in one system.
   *
   * @param span milliseconds of each fault, and of the time after it
   */
  play(names: Iterable<string>, span: number, tell: (outcome: Outcome) => void): Promise<Outcome[]>;
}

/** Milliseconds that a system has to be well again. */
const RECOVERY = 60_000;

export function stage<System extends { stop(): Promise<void> }>(parts: StageParts<System>): Stage {
  const faults = new Map(parts.faults.map((fault) => [fault.name, fault]));
  return {
    faults: [...faults.keys()],
    play: async (names, span, tell) => {
      const system = await parts.start();
      try {
        await untilWell(() => parts.isWell(system), 'the start');
        const outcomes: Outcome[] = [];
        for (const name of names) {
          const outcome = {
            ...(await play(parts, faults.get(name) as Fault<System>, system, span)),
            memory: (await parts.memory?.(system)) ?? [],
          };
          outcomes.push(outcome);
          tell(outcome);
        }
        return outcomes;
      } finally {
        await system.stop();
      }
    },
  };
}

/** @returns milliseconds that it took */
async function untilWell(isWell: () => Promise<boolean>, after: string): Promise<number> {
  const start = performance.now();
  while (!(await isWell())) {
    if (performance.now() - start > RECOVERY) throw new Error(`${after}: not well again`);
    await sleep(50);
  }
  return performance.now() - start;
}

async function play<System extends { stop(): Promise<void> }>(
  { load, isWell }: StageParts<System>,
  fault: Fault<System>,
  system: System,
  span: number,
): Promise<Omit<Outcome, 'memory'>> {
  const [during, after] = [newReport(), newReport()];
  let report = during;
  const stop = new AbortController();
  const loading = load(system, stop.signal, () => report);
  try {
    await Promise.all([fault.begin(system, AbortSignal.timeout(span), during), sleep(span)]);
    await fault.end?.(system);
    const recovery = await untilWell(() => isWell(system), fault.name);
    report = after;
    await sleep(span);
    return { fault: fault.name, during, after, recovery };
  } finally {
    stop.abort();
    await loading;
  }
}
