import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fetchGoModule } from '../go-module.ts';
import { builtProgramOrSkip } from '../go-program.ts';

const run = promisify(execFile);
const VERSION = '1.37.2';
const KUBERNETES = `k8s.io/kubernetes@v${VERSION}`;
const PROGRAMS = { etcd: 'go.etcd.io/etcd/server/v3', 'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver' };
/** Milliseconds: ten minutes of one core, which other suites may share. */
const BUILD = 2_400_000;

export type ApiServerPrograms = Readonly<Record<keyof typeof PROGRAMS, string>>;

/** etcd and the API server of Kubernetes, built once; a skipped suite where that cannot be done, in CI a failure. */
export async function apiServerProgramsOrSkip(context: Mocha.Context): Promise<ApiServerPrograms> {
  const programs: Partial<Record<keyof typeof PROGRAMS, string>> = {};
  for (const [name, packagePath] of Object.entries(PROGRAMS) as [keyof typeof PROGRAMS, string][])
    programs[name] = await builtProgramOrSkip(context, name, KUBERNETES, (folder, env) =>
      build(folder, env, name, packagePath),
    );
  return programs as ApiServerPrograms;
}

/** Kubernetes replaces its own modules by folders of its repository, which only count in a main module: `go install` refuses. */
async function build(folder: string, env: NodeJS.ProcessEnv, name: string, packagePath: string): Promise<void> {
  const kubernetes = await fetchGoModule(KUBERNETES);
  if (typeof kubernetes === 'string') throw new Error(kubernetes);
  const required = await readFile(join(kubernetes.folder, 'go.mod'), 'utf8');
  const own = [...required.matchAll(/^\s+(k8s\.io\/[\w-]+) v0\.0\.0$/gm)].map(([, path]) => path);
  const main = [
    'module postern.test/kubernetes',
    /^go .*$/m.exec(required)?.[0] ?? '',
    `require k8s.io/kubernetes v${VERSION}`,
    ...own.map((path) => `replace ${path} => ${path} v0${VERSION.slice(1)}`),
  ];
  await writeFile(join(folder, 'go.mod'), `${main.join('\n')}\n`);
  // One core, so that the suites beside it keep theirs.
  const oneCore = { ...env, GOFLAGS: `${env.GOFLAGS} -mod=mod -p=1`, GOMAXPROCS: '1' };
  const args = ['build', '-ldflags=-s -w', '-o', join(folder, name), packagePath];
  await run('go', args, { cwd: folder, env: oneCore, timeout: BUILD, maxBuffer: 2 ** 26 });
}
