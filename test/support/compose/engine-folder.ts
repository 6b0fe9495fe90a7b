import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Engine } from '../engine.ts';
import { CLIENT } from '../sign-in-provider.ts';
import { type CopiedDeploy, copyDeploy } from './copied-deploy.ts';
import { ENV, type FolderOptions } from './folder.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;

/** What an engine tells of one service's container. */
export interface ContainerState {
  readonly service: string;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** How often the engine started it again. */
  readonly restarts: number;
}

export interface EngineFolder {
  readonly copy: CopiedDeploy;
  /** Milliseconds that `up --wait` took. */
  readonly up: number;
  /** `docker compose` in the folder. */
  compose(...args: string[]): Promise<{ stdout: string; stderr: string }>;
  /** Runs `check.sh` as a person does. Rejects with what it and the services wrote where anything is wrong. */
  check(args?: readonly string[]): Promise<void>;
  /** Megabytes (2^20 bytes) that each service's processes have. */
  memory(): Promise<ReadonlyMap<string, number>>;
  /** SIGTERM, or what the image says, to all at once, with the time that the engine leaves by itself. */
  stop(): Promise<{ readonly milliseconds: number; readonly states: readonly ContainerState[] }>;
  remove(): Promise<void>;
}

export interface UpOptions extends FolderOptions {
  /** Seconds for all to be healthy. */
  readonly patience?: number;
  /** Compose files of the folder, each over the one before. */
  readonly files?: readonly string[];
  /** Containers of a service. */
  readonly scale?: Readonly<Record<string, number>>;
}

/** A folder of `deploy/`, brought up by an engine on free ports. */
export async function upFolder(
  engine: Engine,
  name: string,
  { without = [], prepare, patience = 300, files = ['compose.yaml'], scale = {} }: UpOptions = {},
): Promise<EngineFolder> {
  const copy = await copyDeploy(name, { mountedSecrets: true });
  const env = {
    ...ENV,
    COMPOSE_FILE: files.join(':'),
    COMPOSE_PROJECT_NAME: `postern-test-${name.replace('/', '-')}-${process.pid}`,
  };
  const compose = (...args: string[]) => engine.docker(['compose', ...args], { cwd: copy.folder, env });
  const remove = async () => {
    await compose('down', '--volumes', '--remove-orphans', '--timeout', '1');
    await copy.remove();
  };
  const logs = async () => (await compose('logs', '--no-color', '--tail', '40')).stdout;
  try {
    await writeFile(`${copy.folder}/client-secret`, CLIENT.secret, { mode: 0o644 });
    await prepare?.(copy);
    const services = (await compose('config', '--services')).stdout.trim().split('\n');
    const missing = without.filter((service) => !services.includes(service));
    if (missing.length > 0) throw new Error(`deploy/${name} has no service ${missing.join(', ')} any more`);
    const wanted = services.filter((service) => !without.includes(service));
    const scaled = Object.entries(scale).flatMap(([service, count]) => ['--scale', `${service}=${count}`]);
    const begun = Date.now();
    await compose('up', '--wait', '--wait-timeout', String(patience), ...scaled, ...wanted).catch(
      async (error: Error) => {
        throw new Error(`${error.message}\n${await logs()}`);
      },
    );
    const up = Date.now() - begun;
    const containers = async () =>
      (await compose('ps', '--all', '--format', '{{.ID}} {{.Service}}')).stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ') as [id: string, service: string]);
    return {
      copy,
      up,
      compose,
      check: async (args = []) => {
        try {
          await run('sh', [`${copy.folder}/check.sh`, ...args], { timeout: 300_000 });
        } catch (error) {
          const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
          throw new Error(`check.sh: ${stdout}${stderr}\n${await logs()}`);
        }
      },
      memory: async () => {
        const sizes = new Map<string, number>();
        for (const [id, service] of await containers()) {
          const { stdout } = await engine.docker(['stats', '--no-stream', '--format', '{{.MemUsage}}', id]);
          sizes.set(service, mebibytes(stdout));
        }
        return sizes;
      },
      stop: async () => {
        const known = await containers();
        const before = Date.now();
        await compose('stop');
        const milliseconds = Date.now() - before;
        const states: ContainerState[] = [];
        for (const [id, service] of known) {
          const format = '{{.State.ExitCode}} {{.State.OOMKilled}} {{.RestartCount}}';
          const [code, oom, restarts] = (await engine.docker(['inspect', '-f', format, id])).stdout.trim().split(' ');
          states.push({ service, exitCode: Number(code), oomKilled: oom === 'true', restarts: Number(restarts) });
        }
        return { milliseconds, states };
      },
      remove,
    };
  } catch (error) {
    await remove().catch(() => {});
    throw error;
  }
}

/** Of `12.5MiB / 23GiB`. */
function mebibytes(text: string): number {
  const [, number = '0', unit = 'B'] = /^([\d.]+)(B|KiB|MiB|GiB)/.exec(text) ?? [];
  return (Number(number) * { B: 1, KiB: 1024, MiB: MIB, GiB: 1024 * MIB }[unit as 'B']) / MIB;
}
