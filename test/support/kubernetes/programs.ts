import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fetchGoModule } from '../go-module.ts';
import { builtProgramOrSkip, goProgramOrSkip } from '../go-program.ts';

const run = promisify(execFile);
const VERSION = '1.37.2';
export const KUBERNETES = `k8s.io/kubernetes@v${VERSION}`;
const COMMANDS = 'k8s.io/kubernetes/cmd';
const PROGRAMS = { etcd: 'go.etcd.io/etcd/server/v3', 'kube-apiserver': `${COMMANDS}/kube-apiserver` };
const OF_NODES = {
  kubelet: `${COMMANDS}/kubelet`,
  'kube-controller-manager': `${COMMANDS}/kube-controller-manager`,
  'kube-scheduler': `${COMMANDS}/kube-scheduler`,
  'kube-proxy': `${COMMANDS}/kube-proxy`,
};
/** Enforces network policies by iptables and ipset. */
const KUBE_ROUTER = 'github.com/cloudnativelabs/kube-router/v2/cmd/kube-router@v2.1.0';
const DNS = fileURLToPath(new URL('coredns', import.meta.url));
const COREDNS = 'github.com/coredns/coredns@v1.15.0';
/** Milliseconds: ten minutes of one core, which other suites may share. */
const BUILD = 2_400_000;

type Programs<Of> = Readonly<Record<keyof Of, string>>;
export type ApiServerPrograms = Programs<typeof PROGRAMS>;
export type NodePrograms = Programs<typeof OF_NODES> & { readonly coredns: string; readonly 'kube-router': string };

/** etcd and the API server of Kubernetes, built once; a skipped suite where that cannot be done, in CI a failure. */
export const apiServerProgramsOrSkip = (context: Mocha.Context): Promise<ApiServerPrograms> =>
  kubernetesOrSkip(context, PROGRAMS);

/** What makes a machine a node, and pods of it a cluster; as {@link apiServerProgramsOrSkip}. */
export async function nodeProgramsOrSkip(context: Mocha.Context): Promise<NodePrograms> {
  return {
    ...(await kubernetesOrSkip(context, OF_NODES)),
    'kube-router': await goProgramOrSkip(context, 'kube-router', KUBE_ROUTER),
    coredns: await builtProgramOrSkip(context, 'coredns', COREDNS, (folder, env) =>
      run('go', ['build', '-ldflags=-s -w', '-o', join(folder, 'coredns'), '.'], { cwd: DNS, env, timeout: BUILD }),
    ),
  };
}

async function kubernetesOrSkip<Of extends Readonly<Record<string, string>>>(
  context: Mocha.Context,
  packages: Of,
): Promise<Programs<Of>> {
  const programs: Record<string, string> = {};
  for (const [name, packagePath] of Object.entries(packages))
    programs[name] = await builtProgramOrSkip(context, name, KUBERNETES, (folder, env) =>
      build(folder, env, name, packagePath),
    );
  return programs as Programs<Of>;
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
