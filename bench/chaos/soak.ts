import { chaos, HEAD, held } from './chaos.ts';
import { FAULTS, type Fault } from './faults.ts';

/** `npm run soak`: faults in a random order for so many minutes, with the memory of each replica beside them. */
const MINUTES = Number(process.env.SOAK_MINUTES ?? 60);
/** Milliseconds of each fault, and of the time after it. */
const SPAN = 10_000;
const end = Date.now() + MINUTES * 60_000;

const measured: Fault[] = FAULTS.map((fault) => ({
  ...fault,
  begin: async (system, signal) => {
    for (const [index, { internal }] of system.gate.replicas.entries()) {
      const metrics = await (await fetch(`${internal}/metrics`)).text();
      const bytes = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
      console.log(`<!-- replica ${index}: ${(bytes / 1024 / 1024).toFixed(0)} MiB -->`);
    }
    await fault.begin(system, signal);
  },
}));

function* shuffled(): Generator<Fault> {
  while (Date.now() < end) yield measured[Math.floor(Math.random() * measured.length)] as Fault;
}

console.log(HEAD);
process.exitCode = held(await chaos(shuffled(), SPAN, (line) => console.log(line))) ? 0 : 1;
