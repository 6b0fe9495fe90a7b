import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { goModuleOrSkip } from '../go-module.ts';
import type { Json, Manifest } from '../istio/manifests.ts';
import { validate } from '../istio/structural-schema.ts';

/** Where the kinds of others are described: module, then the files that we use. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  'istio.io/api@v1.31.4': ['kubernetes/customresourcedefinitions.gen.yaml'],
  'sigs.k8s.io/gateway-api@v1.5.0': ['config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml'],
  'github.com/traefik/traefik/v3@v3.6.0': [
    'docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml',
  ],
  'github.com/envoyproxy/gateway@v1.9.1': [
    'charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_securitypolicies.yaml',
  ],
  'github.com/prometheus-operator/prometheus-operator@v0.85.0': [
    'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml',
  ],
};
/** Schemas of the kinds that CustomResourceDefinitions describe, by `apiVersion/kind`. @param text YAML */
export function readCustomResources(text: string): Map<string, Json> {
  const schemas = new Map<string, Json>();
  for (const document of parseAllDocuments(text)) {
    const { kind, spec } = (document.toJS() as Manifest | null) ?? {};
    if (kind !== 'CustomResourceDefinition') continue;
    for (const { name, schema } of spec.versions)
      schemas.set(`${spec.group}/${name}/${spec.names.kind}`, schema.openAPIV3Schema);
  }
  return schemas;
}

/**
 * Objects of others' kinds against the schemas that their projects publish.
 *
 * @returns what does not fit; undefined where no schema is known, as of Kubernetes' own kinds
 */
export async function customMisfitsOrSkip(
  context: Mocha.Context,
): Promise<(manifest: Manifest) => string[] | undefined> {
  const schemas = new Map<string, Json>();
  for (const [module, files] of Object.entries(MODULES)) {
    const folder = await goModuleOrSkip(context, module);
    for (const file of files)
      for (const [kind, schema] of readCustomResources(await readFile(join(folder, file), 'utf8')))
        schemas.set(kind, schema);
  }
  return ({ apiVersion, kind, metadata, ...rest }) => {
    const schema = schemas.get(`${apiVersion}/${kind}`);
    if (schema === undefined) return undefined;
    const required = schema.required?.filter((name: string) => name !== 'metadata') ?? [];
    return validate({ ...schema, required }, rest).map((problem) => `${kind} ${metadata.name}${problem}`);
  };
}
