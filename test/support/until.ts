import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks until it is so, for at most fifteen seconds.
 *
 * @param patience milliseconds in their place
 * @param pause milliseconds between two questions
 */
export async function until(
  what: string,
  question: () => boolean | Promise<boolean>,
  patience = 15_000,
  pause = 20,
): Promise<void> {
  const end = Date.now() + patience;
  while (!(await question())) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await sleep(pause);
  }
}
