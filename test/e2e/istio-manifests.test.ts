import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { goModuleOrSkip } from '../support/go-module.ts';
import { checkMeshConfig, ISTIO_API, readSchemas } from '../support/istio/api.ts';
import { gatewayListener } from '../support/istio/envoy.ts';
import { type Json, type Manifest, only, readManifests, readMeshConfig } from '../support/istio/manifests.ts';
import { validate } from '../support/istio/structural-schema.ts';

const FILES = ['workloads.yaml', 'mesh.yaml', 'custom.yaml', 'request-authentication.yaml'] as const;
const WAYS = ['custom.yaml', 'request-authentication.yaml'] as const;
const GATEWAY = 'cluster.local/ns/istio-ingress/sa/istio-ingress';
const AUTH = 'forward-auth.postern.svc.cluster.local';
const RELAY = 'relay.postern.svc.cluster.local';

describe('the manifests of deploy/istio', () => {
  let api: string;
  let schemas: Map<string, Json>;

  before(async function () {
    this.timeout(180_000);
    api = await goModuleOrSkip(this, ISTIO_API);
    schemas = await readSchemas(api);
  });

  const problemsOf = (manifest: Manifest) => {
    const schema = schemas.get(`${manifest.apiVersion}/${manifest.kind}`);
    if (schema === undefined) throw new Error(`no schema of ${manifest.apiVersion} ${manifest.kind}`);
    const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = manifest;
    return validate(schema, rest);
  };

  for (const file of FILES)
    it(`${file}: every object of Istio fits its schema`, async () => {
      const ofIstio = (await readManifests(file)).filter(({ apiVersion }) => apiVersion.includes('istio.io/'));
      assert.ok(ofIstio.length > 0 || file === 'workloads.yaml');
      for (const manifest of ofIstio)
        assert.deepEqual(problemsOf(manifest), [], `${manifest.kind} ${manifest.metadata.name}`);
    });

  it('a mistyped field, value and form are found', async () => {
    const manifests = await readManifests('custom.yaml');
    const policy = only(manifests, 'AuthorizationPolicy');
    for (const spec of [
      { ...policy.spec, rule: [] },
      { ...policy.spec, action: 'ASK' },
      { ...policy.spec, selector: { matchLabels: ['istio'] } },
      { ...policy.spec, rules: [{ from: [{ source: {}, sources: {} }] }] },
      { ...policy.spec, provider: 'postern-grpc' },
    ])
      assert.notDeepEqual(problemsOf({ ...policy, spec }), [], JSON.stringify(spec));
    const route = only(manifests, 'VirtualService');
    assert.notDeepEqual(
      problemsOf({ ...route, spec: { ...route.spec, http: [{ match: [{ uri: { prefix: '/', exact: '/' } }] }] } }),
      [],
    );
  });

  it('a time limit of nothing is found, which Istio refuses', async () => {
    const route = only(await readManifests('custom.yaml'), 'VirtualService');
    const http = route.spec.http.map((one: Json) => ({ ...one, timeout: '0s' }));
    assert.notDeepEqual(problemsOf({ ...route, spec: { ...route.spec, http } }), []);
  });

  it('the mesh configuration is what Istio’s .proto names', async () => {
    const meshConfig = await readMeshConfig();
    assert.deepEqual(checkMeshConfig(api, meshConfig), []);
    const [grpc] = meshConfig.extensionProviders;
    for (const wrong of [
      { extensionProvider: [] },
      { pathNormalization: { normalization: 'ALL' } },
      { extensionProviders: [{ name: 'x', envoyExtAuthzGrpc: { ...grpc.envoyExtAuthzGrpc, statusOnError: 503 } }] },
      { extensionProviders: [{ name: 'x', envoyExtAuthzHttp: { headersToDownstream: [] } }] },
      { extensionProviders: [{ name: 'x', envoyExtAuthzGrpc: { timeout: '5 s' } }] },
    ])
      assert.notDeepEqual(checkMeshConfig(api, wrong), [], JSON.stringify(wrong));
  });

  it('what one manifest names is in another', async () => {
    const workloads = await readManifests('workloads.yaml');
    const mesh = await readManifests('mesh.yaml');
    const meshConfig = await readMeshConfig();
    const of = (kind: string, from = workloads) => from.filter((one) => one.kind === kind);
    const services = new Set(
      of('Service').flatMap(({ metadata, spec }) =>
        spec.ports.map((one: Json) => `${metadata.name}.${metadata.namespace}.svc.cluster.local:${one.port}`),
      ),
    );
    const accounts = of('ServiceAccount').map(
      ({ metadata }) => `cluster.local/ns/${metadata.namespace}/sa/${metadata.name}`,
    );
    const labels = of('Deployment').map(({ spec }) => spec.template.metadata.labels.app);
    for (const { spec } of of('AuthorizationPolicy', mesh)) {
      if (spec.selector !== undefined) assert.ok(labels.includes(spec.selector.matchLabels.app));
      for (const { source } of (spec.rules ?? []).flatMap((rule: Json) => rule.from))
        for (const principal of source.principals) assert.ok([GATEWAY, ...accounts].includes(principal), principal);
    }
    for (const { envoyExtAuthzGrpc, envoyExtAuthzHttp } of meshConfig.extensionProviders) {
      const { service, port } = envoyExtAuthzGrpc ?? envoyExtAuthzHttp;
      assert.ok(services.has(`${service}:${port}`));
    }
    for (const file of WAYS) {
      const manifests = await readManifests(file);
      for (const { destination } of only(manifests, 'VirtualService').spec.http.flatMap((http: Json) => http.route))
        assert.ok(services.has(`${destination.host}:${destination.port.number}`));
      const { name } = only(manifests, 'ConfigMap').metadata;
      for (const { spec } of of('Deployment')) assert.equal(spec.template.spec.volumes[0].configMap.name, name);
    }
    for (const namespace of of('Namespace')) {
      const here = mesh.filter(({ metadata }) => metadata.namespace === namespace.metadata.name);
      assert.equal(only(here, 'PeerAuthentication').spec.mtls.mode, 'STRICT');
      assert.deepEqual(only(here, 'AuthorizationPolicy', 'deny-all').spec, {}, 'denied by default');
    }
  });

  it('what skips the check is exactly what goes to forward-auth', async () => {
    const manifests = await readManifests('custom.yaml');
    const [rule, ...others] = only(manifests, 'AuthorizationPolicy').spec.rules;
    assert.equal(others.length, 0);
    const routed = only(manifests, 'VirtualService')
      .spec.http.filter(({ route }: Json) => route[0].destination.host === AUTH)
      .flatMap(({ match }: Json) => match.map(({ uri }: Json) => uri.exact ?? `${uri.prefix}*`));
    assert.deepEqual(routed.sort(), [...rule.to[0].operation.notPaths].sort());
  });
});

describe('deploy/istio and deploy/envoy', () => {
  it('show headers that came twice as two, over gRPC', async () => {
    const { listener } = gatewayListener(
      {
        manifests: await readManifests('custom.yaml'),
        meshConfig: await readMeshConfig(),
        places: { [`${AUTH}:4180`]: 1, [`${AUTH}:4181`]: 2, [`${RELAY}:4444`]: 3 },
      },
      { name: 'grpc', port: 1 },
    );
    const filters = listener.filter_chains[0].filters[0].typed_config.http_filters;
    const check = filters.find((one: Json) => one.name === 'envoy.filters.http.ext_authz').typed_config;
    assert.equal(check.encode_raw_headers, true);
  });

  it('remove, show and hand on the same headers', async () => {
    const istio = gatewayListener(
      {
        manifests: await readManifests('custom.yaml'),
        meshConfig: await readMeshConfig(),
        places: { [`${AUTH}:4180`]: 1, [`${RELAY}:4444`]: 2 },
        provider: 'postern-http',
      },
      { name: 'http', port: 1 },
    ).listener;
    const text = await readFile(fileURLToPath(new URL('../../deploy/envoy/envoy.yaml', import.meta.url)), 'utf8');
    const [envoy] = (parse(text, { merge: true }) as Json).static_resources.listeners;
    const filters = (listener: Json) => {
      const all = listener.filter_chains[0].filters[0].typed_config.http_filters;
      const of = (name: string) => all.find((one: Json) => one.name === `envoy.filters.http.${name}`).typed_config;
      const answer = of('ext_authz').http_service.authorization_response;
      const names = ({ patterns }: Json) => patterns.map(({ exact, prefix }: Json) => exact ?? `${prefix}*`).sort();
      return {
        removed: of('header_mutation').mutations.request_mutations,
        shown: names(of('ext_authz').allowed_headers),
        handedOn: names(answer.allowed_upstream_headers),
        toTheClient: names(answer.allowed_client_headers_on_success),
      };
    };
    assert.deepEqual(filters(istio), filters(envoy));
  });
});
