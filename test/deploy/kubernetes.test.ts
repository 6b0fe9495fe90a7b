import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { drainTimes } from '../../src/platform/config/drain-schema.ts';
import { configKeys } from '../../src/platform/config/keys.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import { type Json, only } from '../support/istio/manifests.ts';
import { type Chart, chartOrSkip, type Rendered } from '../support/kubernetes/chart.ts';
import { FULL, PROXIES, readmeValues } from '../support/kubernetes/chart-values.ts';

describe('the chart of deploy/kubernetes', function () {
  this.timeout(60_000);
  let chart: Chart;

  before(async function () {
    this.timeout(600_000);
    chart = await chartOrSkip(this);
  });

  async function render(values: object): Promise<Rendered> {
    const rendered = await chart(values);
    if ('refused' in rendered) throw new Error(rendered.refused);
    return rendered;
  }
  const refusal = async (values: object) => {
    const rendered = await chart(values);
    return 'refused' in rendered ? rendered.refused : assert.fail('rendered');
  };
  const configuration = ({ manifests }: Rendered) =>
    parseConfig(parse(only(manifests, 'ConfigMap').data?.['postern.yaml'] ?? ''));
  const deployments = ({ manifests }: Rendered) => manifests.filter(({ kind }) => kind === 'Deployment');

  for (const [name, values] of [['the values as they are', {}] as const, ['everything turned on', FULL] as const])
    for (const kind of PROXIES)
      it(`with ${name}, for ${kind}: both processes take the configuration`, async () => {
        const config = configuration(await render({ ...values, proxy: { kind } }));
        assert.equal(config.auth.listen.port, 4180);
        assert.equal(config.relay.listen.port, 4444);
      });

  it('renders the values of its README, whose settings exist', async () => {
    const values = await readmeValues();
    const rendered = await render(values);
    assert.equal(configuration(rendered).relay.servers.github?.url, 'http://github-mcp.mcp-servers.svc:3000/mcp');
    const known = new Set(configKeys().map(({ env }) => env));
    for (const setting of Object.keys(values.secrets.files)) assert.ok(known.has(setting), setting);
  });

  it('lets the relay believe the assertion of its own forward-auth only', async () => {
    const { relay } = configuration(await render({}));
    assert.equal(
      relay.trust.assertion?.jwksUrl,
      'http://gate-forward-auth.postern.svc.cluster.local:4180/_postern/jwks.json',
    );
    assert.equal(configuration(await render({ assertion: false })).relay.trust.assertion, undefined);
  });

  it('cannot be told to listen elsewhere, where probes and policies would miss it', async () => {
    const elsewhere = { auth: { internalListen: '0.0.0.0:4180' }, relay: { listen: '0.0.0.0:9465' } };
    const config = configuration(await render({ config: elsewhere }));
    assert.equal(config.auth.internalListen.port, 9464);
    assert.equal(config.relay.listen.port, 4444);
  });

  it('finds out that a pod stops before it takes no more requests, and lets it end', async () => {
    const rendered = await render(FULL);
    const { delay, total } = drainTimes(configuration(rendered).drain);
    for (const { spec } of deployments(rendered)) {
      const [{ readinessProbe: probe }] = spec.template.spec.containers;
      assert.equal(probe.httpGet.path, '/readyz');
      assert.ok(probe.periodSeconds * probe.failureThreshold * 1_000 < delay, JSON.stringify(probe));
      assert.ok(spec.template.spec.terminationGracePeriodSeconds * 1_000 > total + 2_000);
    }
    const grace = async (drain: unknown) =>
      deployments(await render({ config: { ...FULL.config, drain }, terminationGracePeriodSeconds: 75 })).map(
        ({ spec }) => spec.template.spec.terminationGracePeriodSeconds,
      );
    assert.deepEqual(await grace({ delay: '10s', timeout: '60s' }), [75, 75]);
  });

  it('tells Traefik all that the deployment says which the tests run', async () => {
    const dynamic = await readFile(new URL('../../deploy/traefik/dynamic.yaml', import.meta.url), 'utf8');
    const { manifests } = await render({ proxy: { kind: 'traefik' } });
    const { address, ...others } = only(manifests, 'Middleware').spec.forwardAuth;
    assert.match(address, /gate-forward-auth/);
    const { address: _, ...expected } = parse(dynamic).http.middlewares['postern-check'].forwardAuth;
    assert.deepEqual(others, expected);
  });

  it('does not end a pod that is only slow', async () => {
    for (const { spec } of deployments(await render(FULL))) {
      const [{ startupProbe, livenessProbe }] = spec.template.spec.containers;
      assert.ok(startupProbe.periodSeconds * startupProbe.failureThreshold >= 120);
      // Ten seconds are between two questions where nothing else is said.
      assert.ok(10 * livenessProbe.failureThreshold >= 60);
      assert.ok(livenessProbe.timeoutSeconds >= 5);
    }
  });

  it('runs nothing as root, with a writable disk, a capability or a token of the cluster', async () => {
    for (const { spec } of deployments(await render(FULL))) {
      const pod = spec.template.spec;
      assert.equal(pod.automountServiceAccountToken, false);
      assert.equal(pod.securityContext.runAsNonRoot, true);
      assert.deepEqual(pod.securityContext.seccompProfile, { type: 'RuntimeDefault' });
      for (const { securityContext } of pod.containers)
        assert.deepEqual(securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
    }
  });

  it('hands secrets over as files of the Secret, and has none in any object', async () => {
    const rendered = await render(FULL);
    for (const { metadata, spec } of deployments(rendered)) {
      const { env, volumeMounts } = spec.template.spec.containers[0];
      assert.deepEqual(env, [
        { name: 'POSTERN_RELAY_SESSION_KEY_FILE', value: '/etc/postern-secrets/relay-session-key' },
        // For its programs.
        ...(metadata.name === 'gate-relay' ? [{ name: 'HOME', value: '/tmp' }] : []),
      ]);
      assert.ok(volumeMounts.some((mount: Json) => mount.mountPath === '/etc/postern-secrets' && mount.readOnly));
    }
    assert.equal(rendered.manifests.filter(({ kind }) => kind === 'Secret').length, 0);
  });

  it('lets only the proxy reach the relay, only the relay the MCP servers, only monitoring the internal listeners', async () => {
    const { manifests } = await render(FULL);
    const proxies = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ingress' } } }];
    const monitoring = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }];
    assert.deepEqual(only(manifests, 'NetworkPolicy', 'gate-relay').spec.ingress, [
      { from: proxies, ports: [{ protocol: 'TCP', port: 'http' }] },
      { from: monitoring, ports: [{ protocol: 'TCP', port: 'internal' }] },
    ]);
    const servers = only(manifests, 'NetworkPolicy', 'gate-mcp-github');
    assert.equal(servers.metadata.namespace, 'mcp-servers');
    assert.equal(servers.spec.ingress.length, 1);
    const [{ from }] = servers.spec.ingress;
    assert.equal(from.length, 1);
    assert.equal(from[0].podSelector.matchLabels['app.kubernetes.io/component'], 'relay');
    // Without a namespace of its own the policy would be about pods of the servers' namespace.
    assert.deepEqual(from[0].namespaceSelector.matchLabels, { 'kubernetes.io/metadata.name': 'postern' });
  });

  it('scales forward-auth by decisions a second, and leaves the number of replicas to the scaler', async () => {
    const rendered = await render(FULL);
    const [metric] = only(rendered.manifests, 'HorizontalPodAutoscaler', 'gate-forward-auth').spec.metrics;
    assert.equal(metric.pods.metric.name, 'postern_auth_decisions_per_second');
    for (const { spec } of deployments(rendered)) assert.equal(spec.replicas, undefined);
  });

  it('lets the middleware of Traefik pass on the cookie that the configuration names', async () => {
    const { manifests } = await render({ ...FULL, proxy: { kind: 'traefik' } });
    const { forwardAuth } = only(manifests, 'Middleware').spec;
    assert.deepEqual(forwardAuth.addAuthCookiesToResponse, ['__Host-gate']);
    assert.equal(forwardAuth.trustForwardHeader, false);
  });

  it('sends to forward-auth itself exactly what the deployment that the tests run sends there', async () => {
    const { manifests } = await render({ proxy: { kind: 'traefik' } });
    const file = await readFile(new URL('../../deploy/traefik/dynamic.yaml', import.meta.url), 'utf8');
    const pathsIn = (rule: string) => [...rule.matchAll(/Path(?:Prefix)?\(`[^`]+`\)/g)].map(([path]) => path).sort();
    const [route] = only(manifests, 'IngressRoute').spec.routes;
    assert.deepEqual(pathsIn(route.match), pathsIn(parse(file).http.routers['postern-public'].rule));
  });

  it('says what is wrong with values before anything is made', async () => {
    assert.match(await refusal({ replica: 3 }), /replica/);
    assert.match(await refusal({ proxy: { kind: 'apache' } }), /kind/);
    assert.match(await refusal({ proxy: { kind: 'istio' }, forwardAuth: { grpc: false } }), /grpc/);
    assert.match(await refusal({ secrets: { files: { POSTERN_RELAY_SESSION_KEY: 'x' } } }), /existingSecret/);
    assert.match(await refusal({ networkPolicy: { proxies: [] } }), /proxies/);
    const one = { name: 'a', namespace: 'mcp', podSelector: { matchLabels: { app: 'a' } }, port: 80 };
    assert.match(
      await refusal({ networkPolicy: { mcpServers: [one, { ...one, port: 81 }] } }),
      /two have the name "a"/,
    );
    await render({ networkPolicy: { mcpServers: [one, { ...one, namespace: 'other' }] } });
  });

  it('warns in its notes of what is missing', async () => {
    const { notes } = await render({});
    assert.match(notes, /Keys are made at start/);
    assert.match(notes, /No proxy is told yet/);
    const { notes: full } = await render({ ...FULL, proxy: { kind: 'traefik' } });
    assert.match(full, /https:\/\/mcp\.example\.com\/servers\/github\/mcp/);
    assert.doesNotMatch(full, /Keys are made at start|No proxy/);
  });
});
