import assert from 'node:assert/strict';
import { type Json, type Manifest, only, readManifests } from '../support/istio/manifests.ts';
import { type ApiServer, apiServerOrSkip } from '../support/kubernetes/api-server.ts';
import { type Chart, chartOrSkip, readManifestsOf } from '../support/kubernetes/chart.ts';
import { FULL, PROXIES, readmePolicy, readmeValues } from '../support/kubernetes/chart-values.ts';
import { customResourceDefinitionsOrSkip } from '../support/kubernetes/custom-resources.ts';
import { type Kustomize, kustomizeOrSkip } from '../support/kubernetes/kustomize.ts';
import { runPostern } from '../support/run-postern.ts';

/** Those that manifests name and do not make. */
const NAMESPACES = ['postern', 'mcp-servers', 'ingress', 'istio-ingress'];
const RESTRICTED = {
  'pod-security.kubernetes.io/enforce': 'restricted',
  'pod-security.kubernetes.io/warn': 'restricted',
};
const SECRETS = { existingSecret: 'keys', files: { POSTERN_RELAY_SESSION_KEY: 'relay-session-key' } };
const server = (more: object) => ({
  networkPolicy: {
    mcpServers: [{ name: 'a', namespace: 'mcp-servers', podSelector: { matchLabels: { a: 'b' } }, port: 80, ...more }],
  },
});

/** Values beside those of every kind of proxy. */
const CHARTS: Readonly<Record<string, object>> = {
  'no gRPC': { forwardAuth: { grpc: false } },
  'no gRPC, for Traefik': { forwardAuth: { grpc: false }, proxy: { kind: 'traefik' } },
  'no assertion': { assertion: false },
  'no network policies': { networkPolicy: { enabled: false } },
  'keys in files': { secrets: SECRETS },
  'a port of an MCP server by its name': server({ port: 'http' }),
  'one replica each': { forwardAuth: { replicas: 1 }, relay: { replicas: 1 } },
  'several entry points': { proxy: { kind: 'traefik', entryPoints: ['web', 'websecure'] } },
  'an image by tag': { image: { repository: 'registry.example.com:5000/team/postern', tag: 'v1.2.3' } },
  'programs of its own': { relay: { programs: { enabled: true } } },
  'a long drain': { config: { drain: { delay: '10s', timeout: '60s' } }, terminationGracePeriodSeconds: 75 },
};

/** What people write by mistake, or at the edge of what is allowed, and the release's name. */
const ODD: readonly (readonly [object, string?])[] = [
  ...['1gate', 'gate.prod', 'g'.repeat(41), 'g'.repeat(42), 'a'].map((release) => [{}, release] as const),
  [{ podAnnotations: { 'prometheus.io/port': 9464 } }],
  [{ podAnnotations: { note: 'any text: "with" {braces}' } }],
  [{ nodeSelector: { gpu: true } }],
  [{ nodeSelector: { pool: 'not a label' } }],
  [{ tolerations: [{ key: 'gate', operator: 'Exist' }] }],
  [{ tolerations: [{ key: 'gate', opertor: 'Exists' }] }],
  [{ serviceMonitor: { enabled: true, labels: { team: 7 } } }],
  ...['-a', 'a-', 'a'.repeat(63)].map((name) => [server({ name })] as const),
  ...[0, 65_536, 65_535, 'http-of-the-servers', 'HTTP', 'x-'].map((port) => [server({ port })] as const),
  ...['MCP', 'mcp_servers'].map((namespace) => [server({ namespace })] as const),
  [server({ podSelector: { app: 'github-mcp' } })],
  [server({ podSelector: { matchLabels: { app: 1 } } })],
  [{ networkPolicy: { proxies: [{ namespaceSelectors: {} }] } }],
  [{ networkPolicy: { proxies: [{ namespaceSelector: { 'kubernetes.io/metadata.name': 'traefik' } }] } }],
  [{ networkPolicy: { proxies: [{ ipBlock: { cidr: '10.0.0.0/8' } }] } }],
  [{ networkPolicy: { proxies: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] } }],
  ...['10.0.0.1', '10.0.0.0/8/8', 'all'].map(
    (cidr) => [{ networkPolicy: { proxies: [{ ipBlock: { cidr } }] } }] as const,
  ),
  [{ networkPolicy: { proxies: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] } }],
  ...[{ key: 'a' }, { key: 'a', operator: 'In' }, { key: 'a', operator: 'Exists', values: ['b'] }].map(
    (expression) => [{ networkPolicy: { proxies: [{ podSelector: { matchExpressions: [expression] } }] } }] as const,
  ),
  [
    {
      networkPolicy: {
        proxies: [{ podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['traefik'] }] } }],
      },
    },
  ],
  ...['a b', 'a/b/c', 'Example.com/a', '-a', 'x'.repeat(64)].flatMap((key) => [
    [{ nodeSelector: { [key]: 'x' } }] as const,
    [{ podAnnotations: { [key]: 'x' } }] as const,
    [{ serviceMonitor: { enabled: true, labels: { [key]: 'x' } } }] as const,
    [{ tolerations: [{ key, operator: 'Exists' }] }] as const,
  ]),
  [{ podAnnotations: { 'checksum/addresses': 'x' } }],
  [{ tolerations: [{ operator: 'Exists' }] }],
  [{ tolerations: [{ value: 'x' }] }],
  [{ tolerations: [{ key: 'a', operator: 'Exists', value: 'x' }] }],
  [{ tolerations: [{ key: 'a', tolerationSeconds: 5 }] }],
  [{ tolerations: [{ key: 'a', effect: 'NoExecute', tolerationSeconds: 5 }] }],
  ...['memoryy', 'gpu', 'example.com/gpu'].map(
    (name) => [{ relay: { resources: { requests: { [name]: 1 }, limits: { [name]: 1 } } } }] as const,
  ),
  [{ relay: { autoscaling: { enabled: true, minReplicas: 7 } } }],
  [{ forwardAuth: { autoscaling: { enabled: true, maxReplicas: 1 } } }],
  ...['1.5', 2, '100m', '1x', '-1'].map((cpu) => [{ relay: { resources: { requests: { cpu } } } }] as const),
  ...['My_Keys', 'keys.prod'].map((existingSecret) => [{ secrets: { ...SECRETS, existingSecret } }] as const),
  [{ image: { repository: ' postern' } }],
  ...['MCP.Example.com', 'https://mcp.example.com', 'mcp.example.com:8443', '*.example.com', 'mcp'].map(
    (host) => [{ proxy: { kind: 'gateway-api', host } }] as const,
  ),
  [{ proxy: { kind: 'gateway-api', gateway: { name: 'My Gateway' } } }],
  [{ proxy: { kind: 'istio', gateway: { name: 'gateway', namespace: 'Ingress' } } }],
  [{ proxy: { kind: 'istio', istio: { selector: { istio: 1 } } } }],
  [{ config: { publicUrl: 'https://mcp.example.com', auth: { rules: [{ match: { path: '/{{ .Values }}/**' } }] } } }],
];

describe('the API server of Kubernetes, with pods restricted', function () {
  this.timeout(120_000);
  let api: ApiServer;
  let chart: Chart;
  let kustomize: Kustomize;
  /** Not yet in the server, by group and kind. */
  const definitions = new Map<string, Manifest>();

  before(async function () {
    // Its first build.
    this.timeout(2_700_000);
    chart = await chartOrSkip(this);
    kustomize = await kustomizeOrSkip(this);
    for (const one of await customResourceDefinitionsOrSkip(this))
      definitions.set(`${one.spec.group} ${one.spec.names.kind}`, one);
    api = await apiServerOrSkip(this);
    for (const name of NAMESPACES)
      assert.deepEqual(await objections({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } } as Manifest), []);
  });
  after(async () => {
    await api?.stop();
  });

  async function rendered(values: object, release?: string): Promise<readonly Manifest[]> {
    const made = await chart(values, release);
    if ('refused' in made) throw new Error(made.refused);
    return made.manifests;
  }

  /** Each is some work for the server, so it learns only of the kinds that are used. */
  async function define({ apiVersion, kind }: Manifest): Promise<void> {
    const key = `${apiVersion.split('/')[0]} ${kind}`;
    const definition = definitions.get(key);
    if (definition === undefined) return;
    definitions.delete(key);
    assert.deepEqual(await objections(definition), []);
  }

  /** What the server has against an object, and against the pods that controllers would make of it. */
  async function objections(manifest: Manifest): Promise<string[]> {
    await define(manifest);
    const labels = manifest.kind === 'Namespace' ? RESTRICTED : {};
    const { namespace = 'postern', ...metadata } = manifest.metadata as Json;
    const placed = { ...manifest, metadata: { namespace, ...metadata, labels: { ...metadata.labels, ...labels } } };
    const verdicts = [await api.apply(placed)];
    if (manifest.kind === 'Deployment') {
      const { metadata: ofPod, spec } = manifest.spec.template;
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...ofPod, name: metadata.name, namespace }, spec };
      verdicts.push(await api.tryCreating(pod));
    }
    return verdicts.flatMap(({ warnings, refused }) =>
      [...warnings, ...(refused === undefined ? [] : [refused])].map(
        (problem) => `${manifest.kind} ${metadata.name}: ${problem}`,
      ),
    );
  }

  /** In an order in which accounts are there before the pods that name them, as Helm and kubectl send them. */
  async function objectionsTo(manifests: readonly Manifest[]): Promise<string[]> {
    const rank = ({ kind }: Manifest) => ['Namespace', 'ServiceAccount'].indexOf(kind);
    const first = manifests.filter((one) => rank(one) >= 0).sort((a, b) => rank(a) - rank(b));
    const found: string[] = [];
    for (const one of [...first, ...manifests.filter((other) => rank(other) < 0)])
      found.push(...(await objections(one)));
    return found;
  }

  for (const kind of PROXIES)
    for (const [name, values] of [['the values as they are', {}] as const, ['everything turned on', FULL] as const])
      it(`takes the chart for ${kind} with ${name}`, async () => {
        assert.deepEqual(await objectionsTo(await rendered({ ...values, proxy: { kind } })), []);
      });

  for (const [name, values] of Object.entries(CHARTS))
    it(`takes the chart with ${name}`, async () => {
      assert.deepEqual(await objectionsTo(await rendered(values)), []);
    });

  for (const [values, release = 'gate'] of ODD)
    it(`is sent nothing that it refuses by ${JSON.stringify(values)}, release ${release}`, async () => {
      const made = await chart(values, release);
      if ('refused' in made) return;
      assert.deepEqual(await objectionsTo(made.manifests), []);
    });

  it('takes the chart with the values of its README', async () => {
    assert.deepEqual(await objectionsTo(await rendered(await readmeValues())), []);
  });

  it('takes the policy of its README', async () => {
    assert.deepEqual(await objectionsTo([await readmePolicy()]), []);
  });

  for (const folder of ['base', 'overlays/example'])
    it(`takes kustomize/${folder}`, async () => {
      assert.deepEqual(await objectionsTo(readManifestsOf(await kustomize.build(folder))), []);
    });

  for (const components of [
    ['traefik'],
    ['envoy-gateway'],
    ['monitoring'],
    ['autoscaling'],
    ['programs'],
    ['monitoring', 'autoscaling'],
  ])
    it(`takes the base of kustomize with ${components.join(' and ')}`, async () => {
      assert.deepEqual(await objectionsTo(readManifestsOf(await kustomize.withComponents(components))), []);
    });

  for (const way of ['custom.yaml', 'request-authentication.yaml'])
    it(`takes deploy/istio with ${way}`, async () => {
      const manifests = [];
      for (const file of ['workloads.yaml', 'mesh.yaml', way]) manifests.push(...(await readManifests(file)));
      assert.deepEqual(await objectionsTo(manifests), []);
    });

  it('takes the Secret that `postern secrets --kubernetes` makes', async () => {
    const { stdout } = await runPostern(['secrets', '--kubernetes']);
    assert.deepEqual(await objectionsTo(readManifestsOf(stdout)), []);
  });

  describe('finds what is wrong in', () => {
    const inSpec = (manifest: Manifest, change: (spec: Json) => void): Manifest => {
      const spec = structuredClone(manifest.spec);
      change(spec);
      return { ...manifest, spec };
    };
    const faults: readonly [string, Json, string, string | undefined, (spec: Json) => void, RegExp][] = [
      [
        'a filter without what its protocol needs, which only a rule in CEL says',
        { kind: 'gateway-api' },
        ...(['HTTPRoute', 'gate-relay'] as const),
        (spec) => delete spec.rules[0].filters[1].externalAuth.grpc,
        /grpc must be specified/,
      ],
      [
        'a mistyped field of another project',
        { kind: 'traefik' },
        ...(['Middleware', undefined] as const),
        (spec) => (spec.forwardAuth.trustForwardHeaders = false),
        /trustForwardHeaders/,
      ],
      [
        'a mistyped field of a pod',
        { kind: 'none' },
        ...(['Deployment', 'gate-relay'] as const),
        (spec) => (spec.template.spec.securityContext.runAsNonRot = true),
        /runAsNonRot/,
      ],
      [
        'a pod that may become root',
        { kind: 'none' },
        ...(['Deployment', 'gate-relay'] as const),
        (spec) => delete spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation,
        /violates PodSecurity|would violate PodSecurity/,
      ],
      [
        'a mount of a volume that is not there',
        { kind: 'none' },
        ...(['Deployment', 'gate-forward-auth'] as const),
        (spec) => spec.template.spec.volumes.pop(),
        /volumeMounts.*Not found/,
      ],
      [
        'a selector that does not fit its pods',
        { kind: 'none' },
        ...(['Deployment', 'gate-forward-auth'] as const),
        (spec) => (spec.template.metadata.labels = { app: 'another' }),
        /selector/,
      ],
    ];
    for (const [what, proxy, kind, name, change, expected] of faults)
      it(what, async () => {
        const manifests = await rendered({ proxy });
        await objectionsTo(manifests.filter((one) => one.kind === 'ServiceAccount'));
        const found = await objections(inSpec(only(manifests, kind, name), change));
        assert.match(found.join('\n'), expected);
      });
  });
});
