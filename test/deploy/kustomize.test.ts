import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadConfig } from '../../src/platform/config/load.ts';
import { goProgramOrSkip } from '../support/go-program.ts';
import { type Json, type Manifest, only } from '../support/istio/manifests.ts';
import { chartOrSkip, objectProblemsOrSkip, readManifestsOf } from '../support/kubernetes/chart.ts';
import { customMisfitsOrSkip } from '../support/kubernetes/custom-resources.ts';

const run = promisify(execFile);
const KUSTOMIZE = 'sigs.k8s.io/kustomize/kustomize/v5@v5.6.0';
const FOLDER = fileURLToPath(new URL('../../deploy/kubernetes/kustomize/', import.meta.url));
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
  let build: (folder: string) => Promise<string>;
  let problems: (text: string) => Promise<readonly string[]>;
  let misfits: (manifest: Manifest) => string[] | undefined;
  let fromChart: (values: object) => Promise<readonly Manifest[]>;

  before(async function () {
    this.timeout(600_000);
    const kustomize = await goProgramOrSkip(this, 'kustomize', KUSTOMIZE);
    build = async (folder) => (await run(kustomize, ['build', folder])).stdout;
    problems = await objectProblemsOrSkip(this);
    misfits = await customMisfitsOrSkip(this);
    const chart = await chartOrSkip(this);
    fromChart = async (values) => {
      const rendered = await chart(values);
      return 'refused' in rendered ? assert.fail(rendered.refused) : rendered.manifests;
    };
  });

  /** A component on top of the base, in a folder of its own. */
  async function withComponents(names: readonly string[]): Promise<string> {
    const folder = await mkdtemp(join(FOLDER, 'overlays', 'tried-'));
    const components = names.map((name) => `../../components/${name}`);
    const kustomization = { namespace: 'postern', resources: ['../../base'], components };
    await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
    try {
      return await build(folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it('say the same as the chart, object by object', async () => {
    assert.deepEqual(byName(readManifestsOf(await build(`${FOLDER}base`))), byName(await fromChart(VALUES)));
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

  for (const folder of ['base', 'overlays/example'])
    it(`fit their schemas: ${folder}`, async () => {
      const text = await build(FOLDER + folder);
      assert.deepEqual(await problems(text), []);
      const others = readManifestsOf(text)
        .map(misfits)
        .filter((found) => found !== undefined);
      assert.deepEqual(others.flat(), []);
      assert.equal(others.length > 0, folder !== 'base');
      assert.notDeepEqual(await problems(text.replace('runAsNonRoot: true', 'runAsNonRot: true')), []);
    });

  for (const folder of ['base', 'overlays/example'])
    it(`give both processes a configuration that they take: ${folder}`, async () => {
      const manifests = readManifestsOf(await build(FOLDER + folder));
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
    const manifests = readManifestsOf(await build(`${FOLDER}overlays/example`));
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
    const text = await build(`${FOLDER}overlays/example`);
    assert.equal(readManifestsOf(text).filter(({ kind }) => kind === 'Secret').length, 0);
    const page = await readFile(new URL('../../deploy/kubernetes/README.md', import.meta.url), 'utf8');
    for (const key of Object.values(FILES)) assert.ok(page.includes(`--from-file=${key}`), key);
  });
});
