/** What was counted in one phase. */
export interface Report {
  /** Answers by kind and status; `lost` where there was none. */
  readonly counts: Record<string, number>;
  /** Milliseconds that those waited who may pass. */
  readonly times: number[];
  /** Allows that must not be. */
  wrongAllows: number;
  /** People who were told that they are signed out. */
  signOuts: number;
}

export interface Outcome {
  readonly fault: string;
  readonly during: Report;
  readonly after: Report;
  /** Milliseconds from the end of the fault until everybody who may pass does, at every replica. */
  readonly recovery: number;
  /** Bytes that each process has after it. */
  readonly memory: readonly number[];
}

export function newReport(): Report {
  return { counts: {}, times: [], wrongAllows: 0, signOuts: 0 };
}

/** Counts one. */
export function count({ counts }: Report, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

export const HEAD =
  '| fault | answers during it | answers after it | p99 during, after | well again | wrong allows | sign-outs |\n|---|---|---|---|---|---|---|';

export function row({ fault, during, after, recovery }: Outcome): string {
  const wrong = during.wrongAllows + after.wrongAllows;
  const out = during.signOuts + after.signOuts;
  return `| ${fault} | ${counts(during)} | ${counts(after)} | ${p99(during)} ms, ${p99(after)} ms | ${(recovery / 1000).toFixed(1)} s | ${wrong} | ${out} |`;
}

/** Of those who may pass. */
function p99({ times }: Report): string {
  const sorted = times.toSorted((a, b) => a - b);
  return (sorted[Math.floor(sorted.length * 0.99)] ?? 0).toFixed(0);
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
    .map(([name, number]) => `${name}: ${number}`)
    .join(', ');
}
