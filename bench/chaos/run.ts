import { chaos, HEAD, held } from './chaos.ts';
import { FAULTS } from './faults.ts';

/** `npm run chaos [words of a fault]`: each fault, or those that match, while requests come steadily. */
const SECONDS = Number(process.env.CHAOS_SECONDS ?? 5);
const wanted = process.argv.slice(2).join(' ').toLowerCase();
const faults = FAULTS.filter(({ name }) => name.toLowerCase().includes(wanted));
if (faults.length === 0) throw new Error(`no such fault; there are: ${FAULTS.map(({ name }) => name).join(', ')}`);
console.log(HEAD);
const outcomes = await chaos(faults, SECONDS * 1_000, (line) => console.log(line));
process.exitCode = held(outcomes) ? 0 : 1;
