import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { type Child, startChild } from '../child.ts';
import type { Access, ApiServer } from './api-server.ts';
import type { NodePrograms } from './programs.ts';

const run = promisify(execFile);
const NAME = 'node';
const PODS = '10.244.0.0/24';
const SERVICES = '10.96.0.0/16';
const RUNTIME = '/run/containerd/containerd.sock';

/** Where a node keeps what it has, and what the namespaces of `cluster.sh` prepared for it. */
export interface NodePlace {
  /** The node's address, which pods reach as well. */
  readonly address: string;
  /** On a file system that overlays can lie on. Its name is also that of the control group of all pods. */
  readonly folder: string;
  /** An archive of `docker save`. */
  readonly images: string;
}

export interface Node {
  /** What its programs wrote. */
  output(): string;
  /** The last started first. */
  stop(): Promise<void>;
}

/**
 * containerd, the kubelet, the controllers and the scheduler; cluster DNS, Services by kube-proxy, and kube-router, which enforces
 * network policies. In namespaces of its own, since it writes rules of iptables and mounts.
 *
 * @throws Error with the output of what does not start
 */
export async function startNode(programs: NodePrograms, api: ApiServer, place: NodePlace): Promise<Node> {
  const started: Child[] = [];
  const stop = async () => {
    for (const child of started.splice(0).reverse()) await child.stop();
  };
  const start = async (name: string, command: string, args: readonly string[], ready: () => Promise<boolean>) => {
    started.push(await startChild(name, command, args, { ready, patience: 120_000 }));
  };
  const kubeconfig = join(place.folder, 'kubeconfig');
  try {
    await mkdir(join(place.folder, 'cni'), { recursive: true });
    for (const [file, text] of Object.entries(filesOf(place, api.access, kubeconfig)))
      await writeFile(join(place.folder, file), text, { mode: 0o600 });

    await start('containerd', 'containerd', ['--config', join(place.folder, 'containerd.toml')], () =>
      succeeds('ctr', ['--address', RUNTIME, 'version']),
    );
    await run('ctr', ['--address', RUNTIME, '--namespace', 'k8s.io', 'images', 'import', place.images], {
      timeout: 600_000,
    });
    const { accountKey, caPath } = api.access;
    await start(
      'kube-controller-manager',
      programs['kube-controller-manager'],
      [
        ...['--kubeconfig', kubeconfig, '--leader-elect=false', '--secure-port=0', '--controllers=*'],
        ...['--root-ca-file', caPath, '--service-account-private-key-file', accountKey],
        ...['--allocate-node-cidrs', '--cluster-cidr', PODS, '--node-cidr-mask-size=24'],
        ...['--service-cluster-ip-range', SERVICES],
      ],
      // Pods are refused where their namespace has no account.
      async () => (await api.send('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200,
    );
    const inCluster = ['--kubeconfig', kubeconfig];
    const atOnce = async () => true;
    await start(
      'kube-scheduler',
      programs['kube-scheduler'],
      [...inCluster, '--leader-elect=false', '--secure-port=0'],
      atOnce,
    );
    await start(
      'kubelet',
      programs.kubelet,
      [
        ...[...inCluster, '--config', join(place.folder, 'kubelet.yaml'), '--root-dir', join(place.folder, 'kubelet')],
        ...['--hostname-override', NAME, '--node-ip', place.address],
      ],
      async () => nodeIsReady((await api.send('GET', `/api/v1/nodes/${NAME}`)).body),
    );
    await start(
      'kube-proxy',
      programs['kube-proxy'],
      [
        ...[...inCluster, '--hostname-override', NAME, '--proxy-mode=iptables', '--cluster-cidr', PODS],
        // The machine's own, which no namespace may change.
        ...['--conntrack-max-per-core=0', '--healthz-bind-address=127.0.0.1:10256'],
      ],
      () => serves('http://127.0.0.1:10256/livez'),
    );
    await start('coredns', programs.coredns, ['-conf', join(place.folder, 'Corefile')], () =>
      serves('http://127.0.0.1:8080/health'),
    );
    await start(
      'kube-router',
      programs['kube-router'],
      [
        ...[...inCluster, '--hostname-override', NAME, '--service-cluster-ip-range', SERVICES],
        ...['--run-firewall=true', '--run-router=false', '--run-service-proxy=false', '--health-port=20244'],
      ],
      () => serves('http://127.0.0.1:20244/healthz'),
    );
    return { stop, output: () => started.map(({ name, output }) => `${name}:\n${output}`).join('\n') };
  } catch (error) {
    await stop();
    throw error;
  }
}

const succeeds = (command: string, args: readonly string[]) =>
  run(command, [...args]).then(
    () => true,
    () => false,
  );

const serves = async (url: string) => (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;

function nodeIsReady(node: { status?: { conditions?: { type: string; status: string }[] } } | undefined): boolean {
  return node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function filesOf({ address, folder }: NodePlace, { url, token, caPath }: Access, kubeconfig: string) {
  return {
    kubeconfig: stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
      clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': caPath } }],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    }),
    'containerd.toml': `version = 2
root = "${folder}/containerd"
[grpc]
  address = "${RUNTIME}"
[plugins."io.containerd.grpc.v1.cri"]
  # Where a machine itself may not go lower, its pods cannot.
  restrict_oom_score_adj = true
  sandbox_image = "docker.io/postern-test/pause:latest"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${folder}/cni"
`,
    'cni/pods.conflist': JSON.stringify({
      cniVersion: '0.4.0',
      name: 'pods',
      plugins: [
        {
          ...{ type: 'bridge', bridge: 'cni0', isDefaultGateway: true, hairpinMode: true },
          ipam: { type: 'host-local', ranges: [[{ subnet: PODS }]] },
        },
      ],
    }),
    'kubelet.yaml': stringify({
      ...{ apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration' },
      ...{ failCgroupV1: false, cgroupDriver: 'cgroupfs', cgroupRoot: `/${basename(folder)}` },
      containerRuntimeEndpoint: `unix://${RUNTIME}`,
      // Nobody outside these namespaces can ask it.
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: 'AlwaysAllow' },
      ...{ clusterDNS: [address], clusterDomain: 'cluster.local', resolvConf: '' },
      // What else lies on the disk is no reason to delete images and pods.
      imageGCHighThresholdPercent: 100,
      evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
      failSwapOn: false,
    }),
    Corefile: `cluster.local {
  bind ${address}
  errors
  health 127.0.0.1:8080
  kubernetes {
    kubeconfig ${kubeconfig} test
  }
}
`,
  };
}
