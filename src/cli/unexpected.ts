import type { Logger } from '../platform/log.ts';
import { EXIT_UNEXPECTED } from './command.ts';

/** Milliseconds for what waits, the audit log above all, to be written. */
const LAST_WRITES = 3_000;

/**
 * What nobody caught leaves a process in a state that nobody knows: it says so, writes down what waits and ends with a code of its
 * own, so that whoever started it starts it anew.
 *
 * @param flush writes what waits and gives back what is open
 */
export function endOnUnexpected(log: Logger, flush: () => Promise<unknown>): void {
  let ending = false;
  process.on('uncaughtException', (error, origin) => {
    log.fatal({ error, origin }, 'the process failed unexpectedly and ends');
    // A second one comes from the first, or from its end, which has its time limit.
    if (ending) return;
    ending = true;
    const end = () => process.exit(EXIT_UNEXPECTED);
    setTimeout(end, LAST_WRITES);
    flush().then(end, end);
  });
}
