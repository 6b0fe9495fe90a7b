import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { Json, Manifest } from '../istio/manifests.ts';

/** The name that people use, and the address of Traefik's Service, by which they find it. */
export const PUBLIC = { host: 'mcp.example.com', address: '10.96.0.80' };
/** Where a probe listens. */
export const PROBE = 8080;

/** Whether a connection can be made to `?host=…&port=…`: `open`, or why not. */
const ASKS_FOR_IT = `
require('node:http').createServer((request, response) => {
  const { host, port } = Object.fromEntries(new URL(request.url, 'http://probe').searchParams);
  const socket = require('node:net').connect({ host, port, timeout: 3000 });
  const end = (text) => { socket.destroy(); response.end(text); };
  socket.on('connect', () => end('open')).on('timeout', () => end('no answer')).on('error', ({ code }) => end(code));
}).listen(${PROBE});
process.once('SIGTERM', () => process.exit(0));`;

/**
 * What stands around Postern in the namespaces that its README names: Traefik with the entry point of `deploy/bridge`, Redis,
 * the MCP server of numbered events, and programs that try to reach others. All pods are restricted.
 */
export async function neighbours(): Promise<Manifest[]> {
  const text = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');
  const { providers: _, entryPoints, ...traefik } = parse(await text('../../../deploy/bridge/traefik.yaml')) as Json;
  const serve = `import('/server/numbered-events.ts').then((it) => it.startNumberedEvents(3000, '0.0.0.0'));`;
  return [
    ...configured('traefik', 'traefik', {
      'traefik.yaml': JSON.stringify({
        ...traefik,
        entryPoints,
        providers: { kubernetesCRD: { allowEmptyServices: true } },
      }),
    }),
    ...runs(
      'traefik',
      'traefik',
      { image: 'traefik:v3.7.15', args: ['--configfile=/etc/traefik/traefik.yaml'] },
      8080,
      {
        mount: '/etc/traefik',
        service: { clusterIP: PUBLIC.address, ports: [{ port: 80, targetPort: 8080 }] },
        account: true,
      },
    ),
    object('rbac.authorization.k8s.io/v1', 'ClusterRole', '', 'traefik', { rules: RULES_OF_TRAEFIK }),
    object('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', '', 'traefik', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'traefik' },
      subjects: [{ kind: 'ServiceAccount', name: 'traefik', namespace: 'traefik' }],
    }),
    ...runs(
      'postern',
      'redis',
      { image: 'redis:8.2.3-alpine', args: ['redis-server', '--save', '', '--protected-mode', 'no'] },
      6379,
    ),
    ...configured('mcp-servers', 'github-mcp', { 'numbered-events.ts': await text('../numbered-events.ts') }),
    ...runs('mcp-servers', 'github-mcp', { image: 'postern:0.1.0', command: ['node', '-e', serve] }, 3000, {
      mount: '/server',
    }),
    ...['traefik', 'elsewhere'].flatMap((namespace) =>
      runs(namespace, 'probe', { image: 'postern:0.1.0', command: ['node', '-e', ASKS_FOR_IT] }, PROBE),
    ),
  ];
}

/** As Traefik's documentation has them for its CRDs. */
const RULES_OF_TRAEFIK = [
  { apiGroups: [''], resources: ['services', 'secrets', 'nodes', 'configmaps'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
  { apiGroups: ['networking.k8s.io'], resources: ['ingressclasses'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['traefik.io'], resources: ['*'], verbs: ['get', 'list', 'watch'] },
];

function object(apiVersion: string, kind: string, namespace: string, name: string, more: object): Manifest {
  return { apiVersion, kind, metadata: { name, ...(namespace === '' ? {} : { namespace }) }, ...more } as Manifest;
}

const configured = (namespace: string, name: string, data: Readonly<Record<string, string>>): Manifest[] => [
  object('v1', 'ConfigMap', namespace, name, { data }),
];

interface Runs {
  /** Where its ConfigMap is. */
  readonly mount?: string;
  readonly service?: object;
  /** It asks the API server. */
  readonly account?: boolean;
}

/** One pod with a Service of its name. */
function runs(
  namespace: string,
  name: string,
  container: object,
  port: number,
  { mount, service = { ports: [{ port }] }, account = false }: Runs = {},
): Manifest[] {
  const labels = { app: name };
  const hardened = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } };
  const volumes = mount === undefined ? [] : [{ name: 'files', configMap: { name } }];
  const pod = {
    serviceAccountName: name,
    automountServiceAccountToken: account,
    terminationGracePeriodSeconds: 5,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    volumes,
    containers: [
      {
        name,
        ...container,
        securityContext: hardened,
        readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
        volumeMounts: volumes.map((volume) => ({ name: volume.name, mountPath: mount })),
      },
    ],
  };
  return [
    object('v1', 'ServiceAccount', namespace, name, {}),
    object('v1', 'Service', namespace, name, { spec: { selector: labels, ...service } }),
    object('apps/v1', 'Deployment', namespace, name, {
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } },
    }),
  ];
}
