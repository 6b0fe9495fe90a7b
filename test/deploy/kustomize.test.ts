import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/platform/config/load.ts';
import { type Json, type Manifest, only } from '../support/istio/manifests.ts';
import { chartOrSkip, readManifestsOf } from '../support/kubernetes/chart.ts';
import { type Kustomize, kustomizeOrSkip } from '../support/kubernetes/kustomize.ts';
import { runPostern } from '../support/run-postern.ts';

const FILES = {
  POSTERN_AUTH_SESSIONS_KEYS: 'session-keys',
  POSTERN_AUTH_ASSERTION_KEYS: 'assertion-keys',
  POSTERN_RELAY_SESSION_KEY: 'relay-session-key',
  POSTERN_WATCH_KEY: 'watch-key',
};
/** The chart, with what the manifests have turned on. */
const VALUES = { secrets: { existingSecret: 'postern-keys', files: FILES } };
/** Where the processes listen is in the chart's configuration, and in the environment here. */
const ADDRESSES = /^POSTERN_(?:AUTH|RELAY)_(?:LISTEN|GRPC|INTERNAL_LISTEN|TRUST_ASSERTION_JWKS_URL)$/;

/** What an object says, without what only Helm writes, and under the same names. */
function comparable(manifest: Manifest): Json {
  const renamed = JSON.parse(JSON.stringify(manifest).replaceAll(/\bgate\b/g, 'postern')) as Json;
  const strip = (at: Json): Json => {
    if (Array.isArray(at)) return at.map(strip);
    if (typeof at !== 'object' || at === null) return at;
    return Object.fromEntries(
      Object.entries(at)
        .filter(([key]) => !['app.kubernetes.io/version', 'app.kubernetes.io/managed-by', 'annotations'].includes(key))
        .filter(([key]) => key !== 'namespace')
        .map(([key, value]) => [
          key,
          key === 'env' ? (value as Json[]).filter(({ name }) => !ADDRESSES.test(name)) : strip(value),
        ]),
    );
  };
  return strip(renamed);
}

const byName = (manifests: readonly Manifest[]) =>
  Object.fromEntries(
    manifests
      .filter(({ kind }) => kind !== 'ConfigMap')
      .map((manifest) => comparable(manifest))
      .map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest] as const)
      .sort(([a], [b]) => a.localeCompare(b)),
  );

describe('the manifests of deploy/kubernetes/kustomize', function () {
  this.timeout(60_000);
  let build: Kustomize['build'];
  let withComponents: Kustomize['withComponents'];
  let fromChart: (values: object) => Promise<readonly Manifest[]>;

  before(async function () {
    this.timeout(600_000);
    ({ build, withComponents } = await kustomizeOrSkip(this));
    const chart = await chartOrSkip(this);
    fromChart = async (values) => {
      const rendered = await chart(values);
      return 'refused' in rendered ? assert.fail(rendered.refused) : rendered.manifests;
    };
  });

  it('say the same as the chart, object by object', async () => {
    assert.deepEqual(byName(readManifestsOf(await build('base'))), byName(await fromChart(VALUES)));
  });

  for (const kind of ['traefik', 'envoy-gateway'] as const)
    it(`say the same as the chart to ${kind}`, async () => {
      const text = await withComponents([kind]);
      assert.deepEqual(byName(readManifestsOf(text)), byName(await fromChart({ ...VALUES, proxy: { kind } })));
    });

  it('say the same as the chart with monitoring and scalers', async () => {
    const text = await withComponents(['monitoring', 'autoscaling']);
    const autoscaling = { enabled: true };
    const values = {
      ...VALUES,
      forwardAuth: { autoscaling },
      relay: { autoscaling },
      serviceMonitor: { enabled: true },
    };
    assert.deepEqual(byName(readManifestsOf(text)), byName(await fromChart(values)));
  });

  it('say the same as the chart with programs that bring more than the image has', async () => {
    const text = await withComponents(['programs']);
    const values = { ...VALUES, relay: { programs: { enabled: true } } };
    assert.deepEqual(byName(readManifestsOf(text)), byName(await fromChart(values)));
  });

  for (const folder of ['base', 'overlays/example'])
    it(`give both processes a configuration that they take: ${folder}`, async () => {
      const manifests = readManifestsOf(await build(folder));
      const file = join(await mkdtemp(join(tmpdir(), 'postern-kustomize-')), 'postern.yaml');
      // Whatever a person writes there, probes and policies find the processes where they look.
      const written = only(manifests, 'ConfigMap').data?.['postern.yaml'] ?? '';
      await writeFile(file, written.replace(/^relay:$/m, 'relay:\n  listen: 127.0.0.1:1'));
      const environment = (component: string) => {
        const [{ env }] = only(manifests, 'Deployment', `postern-${component}`).spec.template.spec.containers;
        return Object.fromEntries((env as Json[]).map(({ name, value }) => [name, value])) as Record<string, string>;
      };
      const keys = (env: Record<string, string>) =>
        Object.fromEntries(Object.entries(env).filter(([name]) => ADDRESSES.test(name)));
      const auth = loadConfig(file, keys(environment('forward-auth'))).config.auth;
      const { relay } = loadConfig(file, keys(environment('relay'))).config;
      assert.deepEqual([auth.listen.port, auth.grpc?.port, auth.internalListen.port], [4180, 4181, 9464]);
      assert.deepEqual([relay.listen.host, relay.listen.port, relay.internalListen.port], ['0.0.0.0', 4444, 9465]);
      assert.equal(relay.trust.assertion?.jwksUrl, 'http://postern-forward-auth:4180/_postern/jwks.json');
      await rm(join(file, '..'), { recursive: true });
    });

  it('let only the proxy that the overlay names in, and only the relay to its MCP server', async () => {
    const manifests = readManifestsOf(await build('overlays/example'));
    const traefik = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'traefik' } } };
    for (const name of ['postern-forward-auth', 'postern-relay']) {
      const [{ from }] = only(manifests, 'NetworkPolicy', name).spec.ingress;
      assert.deepEqual(from[0], traefik);
      assert.equal(from.length, name === 'postern-relay' ? 1 : 2, 'forward-auth is asked for its keys by the relay');
    }
    const [{ from }] = only(manifests, 'NetworkPolicy', 'postern-mcp-github').spec.ingress;
    assert.equal(from.length, 1);
    assert.equal(from[0].podSelector.matchLabels['app.kubernetes.io/component'], 'relay');
  });

  it('hold no secret', async () => {
    const text = await build('overlays/example');
    assert.equal(readManifestsOf(text).filter(({ kind }) => kind === 'Secret').length, 0);
  });

  it('name the Secret, and its keys, that the command of the README makes', async () => {
    const page = await readFile(new URL('../../deploy/kubernetes/README.md', import.meta.url), 'utf8');
    const [, command = ''] = /postern\.js (secrets [^#]*?) +#/.exec(page) ?? [];
    const [made] = readManifestsOf((await runPostern(command.split(' '))).stdout) as Json[];
    assert.equal(made.metadata.name, VALUES.secrets.existingSecret);
    for (const key of Object.values(FILES)) assert.ok(key in made.stringData, key);
  });
});
