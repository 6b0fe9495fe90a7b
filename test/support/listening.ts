import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds. */
const PATIENCE = 30_000;

/**
 * Waits until somebody listens at an address: some programs open the browser before the page that it leads back to.
 *
 * @throws Error where nobody does
 */
export async function listening({ hostname, port }: Pick<URL, 'hostname' | 'port'>): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!(await answers(hostname, Number(port)))) {
    if (Date.now() > deadline) throw new Error(`nobody listens at ${hostname}:${port}`);
    await sleep(50);
  }
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
