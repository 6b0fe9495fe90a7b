import { createBench } from './bench.ts';
import { h2load } from './grpc-load.ts';
import { hasWrk, type Load, type Measured, nodeLoad, wrk } from './load.ts';
import { type Row, rows } from './rows.ts';

/** Seconds of one run. Short and alternating, because the machine's speed drifts. */
const SECONDS = 3;
const ROUNDS = 3;

const wanted = process.argv.slice(2);
const bench = await createBench();
const overHttp = (await hasWrk()) ? wrk : nodeLoad;
const load = (wanted: Load) =>
  wanted.grpc === undefined ? overHttp(wanted) : h2load(wanted.grpc.port, wanted.grpc.file, wanted.seconds);
if (overHttp === nodeLoad)
  console.log('wrk is not on PATH: the load comes from Node, which is slower than what it measures. Ratios flatter.\n');
try {
  const measured = new Map<string, Measured[]>();
  const problems = new Map<string, string>();
  const all = rows(bench).filter((row) => wanted.length === 0 || wanted.includes(row.name) || isReference(row));
  for (let round = 0; round < ROUNDS; round++)
    for (const row of all) {
      if (problems.has(row.name)) continue;
      try {
        const target = await row.start();
        try {
          await load({ ...(await row.load()), seconds: 1 });
          measured.set(row.name, [
            ...(measured.get(row.name) ?? []),
            await load({ ...(await row.load()), seconds: SECONDS }),
          ]);
        } finally {
          await target.stop();
        }
      } catch (error) {
        problems.set(row.name, (error as Error).message.slice(0, 2_000));
      }
    }
  print(all, measured, problems);
} finally {
  await bench.stop();
}

function isReference(row: Row): boolean {
  return rows(bench).some((other) => wanted.includes(other.name) && other.bar?.of === row.name);
}

function median(runs: readonly Measured[], of: (run: Measured) => number): number {
  return runs.map(of).sort((a, b) => a - b)[Math.floor(runs.length / 2)] as number;
}

function print(
  all: readonly Row[],
  measured: ReadonlyMap<string, readonly Measured[]>,
  problems: ReadonlyMap<string, string>,
): void {
  const table: string[][] = [['row', 'req/s', 'p50 ms', 'p99 ms', 'compared with', 'is', 'at least', '']];
  for (const row of all) {
    const runs = measured.get(row.name) ?? [];
    const problem = problems.get(row.name);
    if (runs.length === 0) {
      table.push([row.name, '–', '–', '–', '', '', '', `not measured: ${problem?.split('\n')[0] ?? ''}`]);
      continue;
    }
    const cells = [
      row.name,
      median(runs, (run) => run.perSecond).toFixed(0),
      median(runs, (run) => run.p50).toFixed(2),
      median(runs, (run) => run.p99).toFixed(2),
    ];
    const { bar } = row;
    const reference = bar === undefined ? undefined : measured.get(bar.of);
    if (bar === undefined || reference === undefined) table.push([...cells, '', '', '', '']);
    else if (bar.kind === 'ratio') {
      const ratio = median(runs, (run) => run.perSecond) / median(reference, (run) => run.perSecond);
      const met = bar.limit === undefined ? '' : ratio >= bar.limit ? 'met' : 'MISSED';
      table.push([...cells, bar.of, ratio.toFixed(2), bar.limit?.toFixed(2) ?? '', met]);
    } else {
      const added = median(runs, (run) => run.p50) - median(reference, (run) => run.p50);
      table.push([
        ...cells,
        bar.of,
        `+${added.toFixed(2)} ms`,
        `≤ ${bar.limit} ms`,
        added <= bar.limit ? 'met' : 'MISSED',
      ]);
    }
  }
  const widths = (table[0] as string[]).map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  for (const line of table) console.log(line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '));
  for (const [name, problem] of problems) console.log(`\n${name}: ${problem}`);
}
