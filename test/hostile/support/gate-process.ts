import { readdir, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { type Child, startChild } from '../../support/child.ts';
import { POSTERN_COMMAND } from '../../support/postern-process.ts';
import { type ScratchFolder, scratchFolder } from './scratch-folder.ts';

/** At SIGUSR2 the process collects its garbage, so that its heap tells what is still in use. */
const COLLECT = `
require('node:v8').setFlagsFromString('--expose_gc');
const collect = require('node:vm').runInNewContext('gc');
process.on('SIGUSR2', () => collect());
`;

/** One of the two processes in a small heap, whose memory and open files can be asked for. */
export class GateProcess {
  readonly child: Child;
  readonly #internalPort: number;
  readonly #folder: ScratchFolder;

  private constructor(child: Child, internalPort: number, folder: ScratchFolder) {
    this.child = child;
    this.#internalPort = internalPort;
    this.#folder = folder;
  }

  /** @param config of the whole gate */
  static async start(command: 'auth' | 'relay', config: object, internalPort: number): Promise<GateProcess> {
    const folder = await scratchFolder();
    await writeFile(`${folder.path}/postern.yaml`, stringify(config));
    await writeFile(`${folder.path}/collect.cjs`, COLLECT);
    const child = await startChild(
      `postern ${command}`,
      process.execPath,
      [
        '--require',
        `${folder.path}/collect.cjs`,
        ...POSTERN_COMMAND,
        command,
        '--config',
        `${folder.path}/postern.yaml`,
      ],
      {
        env: { NODE_OPTIONS: '--max-old-space-size=400' },
        ready: `http://127.0.0.1:${internalPort}/readyz`,
        readyOk: true,
        patience: 80_000,
      },
    );
    return new GateProcess(child, internalPort, folder);
  }

  async openFiles(): Promise<number> {
    return (await readdir(`/proc/${this.child.pid}/fd`)).length;
  }

  /** Bytes in use after a collection. */
  async heap(): Promise<number> {
    this.child.signal('SIGUSR2');
    await sleep(100);
    const text = await (await fetch(`http://127.0.0.1:${this.#internalPort}/metrics`)).text();
    return Number(/^nodejs_heap_size_used_bytes(?:\{.*\})? (\S+)/m.exec(text)?.[1]);
  }

  async stop(): Promise<void> {
    await this.child.stop();
    await this.#folder.remove();
  }
}
