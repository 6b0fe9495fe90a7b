import { once } from 'node:events';
import { createServer } from 'node:net';
import { hold, letGo } from './held-file.ts';

/** Below the ports that systems hand out by themselves: no outgoing connection takes one between the choice and its use. */
const LOWEST = 10_000;
const HIGHEST = 32_000;

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
    const held = ports.filter((port) => hold(heldAs(port)));
    if (held.length === count && (await Promise.all(ports.map(isFree))).every(Boolean)) return first;
    for (const port of held) letGo(heldAs(port));
  }
  throw new Error(`no ${count} free ports in a row between ${LOWEST} and ${HIGHEST}`);
}

const heldAs = (port: number) => `port-${port}`;

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
