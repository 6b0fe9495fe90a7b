import { HEAD, held, row } from './report.ts';
import { GATE } from './stages.ts';

/** `npm run soak`: faults in a random order for so many minutes, with the memory of each replica beside them. */
const MINUTES = Number(process.env.SOAK_MINUTES ?? 60);
/** Milliseconds of each fault, and of the time after it. */
const SPAN = 10_000;
const end = Date.now() + MINUTES * 60_000;

function* shuffled(): Generator<string> {
  while (Date.now() < end) yield GATE.faults[Math.floor(Math.random() * GATE.faults.length)] as string;
}

console.log(HEAD);
process.exitCode = held(
  await GATE.play(shuffled(), SPAN, (outcome) =>
    console.log(`${row(outcome)} ${outcome.memory.map((bytes) => (bytes / 2 ** 20).toFixed(0)).join(', ')} MiB`),
  ),
)
  ? 0
  : 1;
