import { execFile } from 'node:child_process';
import { access, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Child, startChild } from '../child.ts';
import { findLocalProgram, type LocalProgram } from './local-programs.ts';
import type { Project, Service } from './project.ts';

const run = promisify(execFile);

export interface RunningProject {
  readonly output: () => string;
  stop(): Promise<void>;
}

/**
 * Runs what a compose file says without an engine: each service's command, environment, files and folder, in the order of
 * `depends_on` and after the health checks of what it depends on, with a program of this machine in the image's place.
 *
 * What an engine adds (capabilities, read-only file systems, restarts) is not there.
 */
export async function startProject(context: Mocha.Context, project: Project): Promise<RunningProject> {
  const programs = new Map<string, LocalProgram>();
  for (const [name, { image, network_mode }] of Object.entries(project.services)) {
    if (network_mode !== 'host') throw new Error(`${name} is not on the host's network`);
    programs.set(name, await findLocalProgram(context, image));
  }
  const started: Child[] = [];
  const folders: string[] = [];
  const stop = async () => {
    for (const child of started.reverse()) await child.stop();
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  };
  const waiting = new Map(Object.entries(project.services));
  const done = new Set<string>();
  try {
    while (waiting.size > 0) {
      const ready = [...waiting].filter(([, { depends_on = {} }]) =>
        Object.keys(depends_on).every((on) => done.has(on)),
      );
      if (ready.length === 0) throw new Error(`services wait for each other: ${[...waiting.keys()].join(', ')}`);
      const starting = ready.map(async ([name, service]) => {
        waiting.delete(name);
        const program = programs.get(name) as LocalProgram;
        started.push(await startService(name, service, program, folders));
        done.add(name);
      });
      const results = await Promise.allSettled(starting);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { output: () => started.map((child) => `[${child.name}]\n${child.output}`).join('\n'), stop };
}

async function startService(
  name: string,
  service: Service,
  { entrypoint, names, further = [], home, stopSignal }: LocalProgram,
  folders: string[],
): Promise<Child> {
  const places: Array<readonly [inImage: string, here: string]> = [];
  if (home !== undefined) folders.push(home.copy);
  for (const { type, source, target } of service.volumes ?? []) {
    if (type !== 'bind') throw new Error(`${name} mounts a ${type} at ${target}`);
    // An engine would make an empty folder of what is not there.
    await access(source);
    if (home !== undefined && target.startsWith(`${home.inImage}/`))
      await cp(source, home.copy + target.slice(home.inImage.length), { recursive: true });
    else places.push([target, source]);
  }
  for (const mount of service.tmpfs ?? []) {
    const here = await mkdtemp(join(tmpdir(), `postern-${name}-`));
    folders.push(here);
    places.push([mount.split(':')[0] as string, here]);
  }
  const local = (text: string) => replacePaths(text, places);
  const env: Record<string, string> = { PATH: pathWith(names), IMAGE_HOME: process.cwd() };
  for (const [key, value] of Object.entries(service.environment ?? {})) if (value !== null) env[key] = local(value);

  const words = (service.command ?? []).map(local);
  const full =
    service.entrypoint === null
      ? withProgram(words, names, entrypoint)
      : withProgram([...service.entrypoint.map(local), ...words], names);
  const [command, ...args] = [...full, ...further];
  const { test, start_period = '0s' } = service.healthcheck ?? {};
  return startChild(name, command as string, args, {
    env,
    ...(service.working_dir === undefined ? {} : { cwd: local(service.working_dir) }),
    ready: test === undefined ? async () => true : () => isHealthy(test.map(local), names, env),
    patience: Math.max(60_000, milliseconds(start_period)),
    ...(stopSignal === undefined ? {} : { stopSignal }),
  });
}

/** Of a duration as Go writes it, in minutes and seconds. */
function milliseconds(duration: string): number {
  const [, minutes = '0', seconds = '0'] = /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration) ?? [];
  return (Number(minutes) * 60 + Number(seconds)) * 1000;
}

/** The image's program in the first word's place; otherwise its entry point comes first. */
function withProgram(
  words: readonly string[],
  names: LocalProgram['names'],
  entrypoint: readonly string[] = [],
): string[] {
  const [first = '', ...rest] = words;
  const program = names[first];
  // npx names the package, which is what stands in its place.
  if (first === 'npx' && program !== undefined) return [...program, ...rest.slice(2)];
  if (program !== undefined) return [...program, ...rest];
  // The images of proxies run a script as it is.
  return first === 'sh' ? [...words] : [...entrypoint, ...words];
}

async function isHealthy(
  [kind, ...test]: readonly string[],
  names: LocalProgram['names'],
  env: Record<string, string>,
): Promise<boolean> {
  const [command, ...args] = kind === 'CMD-SHELL' ? ['sh', '-c', ...test] : withProgram(test, names);
  const healthy = await run(command as string, args, { env, timeout: 10_000 }).then(
    () => true,
    () => false,
  );
  // Each question is a process of its own.
  if (!healthy) await sleep(200);
  return healthy;
}

/** In one pass: a path of this machine may hold one of the image. */
function replacePaths(text: string, places: ReadonlyArray<readonly [inImage: string, here: string]>): string {
  if (places.length === 0) return text;
  // The longest first: a file may lie in a folder that is mounted too.
  const known = new Map([...places].sort(([a], [b]) => b.length - a.length));
  const escaped = [...known.keys()].map((path) => path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  // A slash before it makes it part of another path, but for the one that ends an empty host: `sqlite:////data/a.db`.
  const pattern = new RegExp(`(?<![\\w.-])(?<!(?<!://)/)(?:${escaped.join('|')})(?![\\w.-])`, 'g');
  return text.replace(pattern, (path) => known.get(path) as string);
}

/** A script in a command finds the image's programs by name. */
function pathWith(names: LocalProgram['names']): string {
  const folders = Object.values(names).map(([path]) => dirname(path as string));
  return [...folders, process.env.PATH ?? ''].join(delimiter);
}
