import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** Below the ports that systems hand out by themselves: no outgoing connection takes one between the choice and its use. */
const LOWEST = 10_000;
const HIGHEST = 32_000;
/** A file for each port that a process of tests holds, with its pid: tests run beside each other. */
const HELD = join(tmpdir(), `postern-test-ports-${userInfo().uid}`);
const ours = new Set<number>();

process.on('exit', () => {
  for (const port of ours) rmSync(join(HELD, String(port)), { force: true });
});

/** Free ports of the loopback address, all different, which are this process's until it ends. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePortsInARow(1));
  return ports;
}

/** @returns the first of so many free ports in a row, which are this process's until it ends */
export async function freePortsInARow(count: number): Promise<number> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const first = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST - count));
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const held = ports.filter(hold);
    if (held.length === count && (await Promise.all(ports.map(isFree))).every(Boolean)) return first;
    held.forEach(release);
  }
  throw new Error(`no ${count} free ports in a row between ${LOWEST} and ${HIGHEST}`);
}

function hold(port: number): boolean {
  const file = join(HELD, String(port));
  mkdirSync(HELD, { recursive: true });
  if (!ours.has(port) && isLeft(file)) rmSync(file, { force: true });
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch {
    return false;
  }
  ours.add(port);
  return true;
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

function release(port: number): void {
  ours.delete(port);
  rmSync(join(HELD, String(port)), { force: true });
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
  } catch {
    return false;
  }
  await once(server.close(), 'close');
  return true;
}
