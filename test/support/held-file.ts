import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A file with its holder's pid for each thing that one process of tests holds: tests run beside each other. */
const HELD = join(tmpdir(), `postern-test-held-${userInfo().uid}`);
const ours = new Set<string>();

process.on('exit', () => {
  for (const name of ours) rmSync(join(HELD, name), { force: true });
});

/** @returns whether it is this process's now, until it is let go or the process ends */
export function hold(name: string): boolean {
  const file = join(HELD, name);
  mkdirSync(HELD, { recursive: true });
  if (!ours.has(name) && isLeft(file)) rmSync(file, { force: true });
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch {
    return false;
  }
  ours.add(name);
  return true;
}

export function letGo(name: string): void {
  ours.delete(name);
  rmSync(join(HELD, name), { force: true });
}

/** Does it while no other process of tests, and nobody else in this one, does it under that name. */
export async function whileHeld<T>(name: string, work: () => Promise<T>): Promise<T> {
  while (!hold(name)) await sleep(100);
  try {
    return await work();
  } finally {
    letGo(name);
  }
}

/** Whether the process that held it is gone. */
function isLeft(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
