import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until it is so, for at most fifteen seconds. */
export async function until(what: string, question: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 15_000;
  while (!(await question())) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await sleep(20);
  }
}
