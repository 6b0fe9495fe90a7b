import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../free-port.ts';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const DEPLOY = join(PROJECT, 'deploy');

/** How the files of `deploy/` write an address of theirs. */
const ADDRESS = /(?:127\.0\.0\.1|localhost|http:\/\/):(\d{4,5})\b|port_value: (\d{4,5})\b/g;
/** Not listened on: where a client's redirect goes, and what is written into examples of other ports. */
const KEPT = new Set(['33418']);

export interface CopiedDeploy {
  /** The copy of `deploy/<name>`. */
  readonly folder: string;
  /** @returns the free port in the place of one that the files name. Throws where they do not. */
  port(original: number): number;
  remove(): Promise<void>;
}

/** What compose files of other folders include and extend. */
const SHARED = ['example', 'traefik'];
/** Folders of the project that compose files mount. */
const MOUNTED = ['grafana'];

/**
 * A copy of what one folder of `deploy/` consists of, in which every port that it or what it includes names is a free one.
 *
 * @param name folder below `deploy/`
 * @param options.mountedSecrets whether an engine mounts secrets; otherwise they are read where they lie
 */
export async function copyDeploy(name: string, { mountedSecrets = false } = {}): Promise<CopiedDeploy> {
  const project = await mkdtemp(join(tmpdir(), 'postern-compose-'));
  const copy = join(project, 'deploy');
  // Programs that were started as root go on as somebody else.
  await chmod(project, 0o755);
  const folders = new Set([name.split('/')[0] as string, ...SHARED]);
  for (const folder of [...folders, 'check']) await cp(join(DEPLOY, folder), join(copy, folder), { recursive: true });
  for (const folder of MOUNTED) await cp(join(PROJECT, folder), join(project, folder), { recursive: true });
  const files: string[] = [];
  for (const folder of [
    ...[...folders].map((shared) => join(copy, shared)),
    ...MOUNTED.map((own) => join(project, own)),
  ])
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
      if (entry.isFile() && !entry.name.endsWith('.md')) files.push(join(entry.parentPath, entry.name));

  // Where an engine mounts secrets. The compose files say which file each is: one of the folder.
  const secrets = `${join(copy, name)}/`;
  const table = await takeFreePorts(files, (text) =>
    mountedSecrets ? text : text.replaceAll('/run/secrets/', secrets),
  );
  return {
    folder: join(copy, name),
    port: (original) => {
      const port = table.get(String(original));
      if (port === undefined) throw new Error(`deploy/${name} names no port ${original}`);
      return port;
    },
    remove: () => rm(project, { recursive: true, force: true }),
  };
}

/**
 * Writes a free port in the place of each that the files name.
 *
 * @returns them by those
 */
export async function takeFreePorts(
  files: readonly string[],
  edit = (text: string) => text,
): Promise<ReadonlyMap<string, number>> {
  const texts = new Map<string, string>();
  for (const file of files) texts.set(file, await readFile(file, 'utf8'));
  const originals = new Set<string>();
  for (const text of texts.values())
    for (const [, port, value] of text.matchAll(ADDRESS)) {
      const found = (port ?? value) as string;
      if (!KEPT.has(found)) originals.add(found);
    }
  const free = await freePorts(originals.size);
  const table = new Map([...originals].map((port, index) => [port, free[index] as number]));
  // One pass, so that a new port is not replaced again.
  const pattern = new RegExp(`(?<![\\w.])(?:${[...originals].join('|')})(?![\\w.]\\w)(?!\\w)`, 'g');
  for (const [file, text] of texts)
    await writeFile(file, edit(text.replace(pattern, (port) => String(table.get(port)))));
  return table;
}
