import { readFile, writeFile } from 'node:fs/promises';
import { createBench } from './bench.ts';
import { h2load } from './grpc-load.ts';
import { hasWrk, type Load, nodeLoad, wrk } from './load.ts';
import { measure, type Sample } from './measure.ts';
import { markdown, report, withTable } from './report.ts';
import { type Row, rows } from './rows.ts';

/** Seconds of one measured run, after the server has turned warm. */
const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
/** Rounds alternate between the rows, because the machine's speed drifts. */
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);

const wanted = process.argv.slice(2);
const bench = await createBench();
const overHttp = (await hasWrk()) ? wrk : nodeLoad;
const load = (wanted: Load) =>
  wanted.grpc === undefined ? overHttp(wanted) : h2load(wanted.grpc.port, wanted.grpc.file, wanted.seconds);
if (overHttp === nodeLoad)
  console.log('wrk is not on PATH: the load comes from Node, which is slower than what it measures. Ratios flatter.\n');
try {
  const samples = new Map<string, Sample[]>();
  const problems = new Map<string, string>();
  const known = rows(bench);
  const chosen = known.filter((row) => wanted.length === 0 || wanted.includes(row.name) || isReference(row, known));
  for (let round = 0; round < ROUNDS; round++)
    for (const row of chosen) {
      if (problems.has(row.name)) continue;
      try {
        samples.set(row.name, [...(samples.get(row.name) ?? []), await run(row)]);
      } catch (error) {
        problems.set(row.name, (error as Error).message.slice(0, 2_000));
      }
    }
  const reported = report(chosen, samples, problems);
  console.log(markdown(reported));
  for (const [name, problem] of problems) console.log(`\n${name}: ${problem}`);
  const { BENCH_JSON, BENCH_PAGE } = process.env;
  if (BENCH_JSON !== undefined) await writeFile(BENCH_JSON, `${JSON.stringify(reported, undefined, 2)}\n`);
  if (BENCH_PAGE !== undefined) await writeFile(BENCH_PAGE, withTable(await readFile(BENCH_PAGE, 'utf8'), reported));
} finally {
  await bench.stop();
}

async function run(row: Row): Promise<Sample> {
  const target = await row.start();
  try {
    const asked = await row.load();
    return await measure(target, (seconds) => load({ ...asked, seconds }), SECONDS);
  } finally {
    await target.stop();
  }
}

function isReference(row: Row, all: readonly Row[]): boolean {
  return all.some((other) => wanted.includes(other.name) && other.bar?.of === row.name);
}
