import { HEAD, held, type Outcome, row } from './report.ts';
import { STAGES } from './stages.ts';

/** `npm run chaos [words of a fault]`: each fault, or those that match, while requests come steadily. */
const SECONDS = Number(process.env.CHAOS_SECONDS ?? 5);
const wanted = process.argv.slice(2).join(' ').toLowerCase();
const matching = STAGES.map((stage) => ({
  stage,
  names: stage.faults.filter((name) => name.toLowerCase().includes(wanted)),
})).filter(({ names }) => names.length > 0);
if (matching.length === 0)
  throw new Error(`no such fault; there are: ${STAGES.flatMap(({ faults }) => faults).join(', ')}`);
console.log(HEAD);
const outcomes: Outcome[] = [];
for (const { stage, names } of matching)
  outcomes.push(...(await stage.play(names, SECONDS * 1_000, (outcome) => console.log(row(outcome)))));
process.exitCode = held(outcomes) ? 0 : 1;
