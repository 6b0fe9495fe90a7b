import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GenericContainer, type StartedTestContainer } from 'testcontainers';
import { type Child, startChild } from './child.ts';
import type { Program } from './programs.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));

/**
 * A copy of a folder of `deploy/` with other addresses. Every replacement must be found, so that a test cannot go on
 * running with an address that the file no longer holds.
 */
export async function copyDeployment(
  name: string,
  files: readonly string[],
  replacements: Readonly<Record<string, string>>,
): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), `postern-${name}-`));
  await cp(join(DEPLOY, name), folder, { recursive: true });
  const unused = new Set(Object.keys(replacements));
  const pattern = new RegExp(
    Object.keys(replacements)
      .map((from) => from.replaceAll('.', '\\.'))
      .join('|'),
    'g',
  );
  for (const file of files) {
    // One pass: a new port such as 44441 begins with an old one, and would be replaced again by a second.
    const text = (await readFile(join(folder, file), 'utf8')).replace(pattern, (from) => {
      unused.delete(from);
      return replacements[from] as string;
    });
    await writeFile(join(folder, file), text);
  }
  if (unused.size > 0) throw new Error(`deploy/${name} no longer holds ${[...unused].join(', ')}`);
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export interface RunningProxy {
  readonly output: () => Promise<string>;
  stop(): Promise<void>;
}

/** Starts Traefik in a folder that holds its static configuration. */
export async function startTraefik(
  program: Program,
  folder: string,
  port: number,
  env: Readonly<Record<string, string>>,
): Promise<RunningProxy> {
  const args = ['--configfile=traefik.yaml'];
  if (program.kind === 'image') return startImage(program.image, folder, args, env);
  const child: Child = await startChild('traefik', program.path, args, {
    cwd: folder,
    env,
    // Traefik answers 404 until it has read its routers.
    ready: `http://127.0.0.1:${port}/_postern/jwks.json`,
    readyOk: true,
  });
  return {
    output: async () => child.output,
    stop: async () => {
      await child.stop();
    },
  };
}

async function startImage(
  image: string,
  folder: string,
  command: string[],
  env: Readonly<Record<string, string>>,
): Promise<RunningProxy> {
  const container: StartedTestContainer = await new GenericContainer(image)
    .withNetworkMode('host')
    .withCopyDirectoriesToContainer([{ source: folder, target: '/config' }])
    .withWorkingDir('/config')
    .withEnvironment(env)
    .withCommand(command)
    .start();
  let output = '';
  (await container.logs()).on('data', (text) => {
    output += String(text);
  });
  return { output: async () => output, stop: async () => void (await container.stop()) };
}
