import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { goModuleOrSkip } from '../go-module.ts';
import type { Json, Manifest } from '../istio/manifests.ts';

/** Where the kinds of others are described: module, then the files that we use. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  'istio.io/api@v1.31.4': ['kubernetes/customresourcedefinitions.gen.yaml'],
  'sigs.k8s.io/gateway-api@v1.6.3': ['config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml'],
  'github.com/traefik/traefik/v3@v3.7.13': [
    'docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml',
  ],
  'github.com/envoyproxy/gateway@v1.9.1': [
    'charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_securitypolicies.yaml',
  ],
  'github.com/prometheus-operator/prometheus-operator@v0.85.0': [
    'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml',
  ],
};

/** The CustomResourceDefinitions of all kinds of others that the manifests use, as their projects publish them. */
export async function customResourceDefinitionsOrSkip(context: Mocha.Context): Promise<Manifest[]> {
  const definitions: Manifest[] = [];
  for (const [module, files] of Object.entries(MODULES)) {
    const folder = await goModuleOrSkip(context, module);
    for (const file of files) definitions.push(...readDefinitions(await readFile(join(folder, file), 'utf8')));
  }
  return definitions;
}

/** The CustomResourceDefinitions of a YAML text. */
export function readDefinitions(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest?.kind === 'CustomResourceDefinition') as Manifest[];
}

/** Schemas of the kinds that definitions describe, by `apiVersion/kind`. */
export function schemasOf(definitions: readonly Manifest[]): Map<string, Json> {
  const schemas = new Map<string, Json>();
  for (const { spec } of definitions)
    for (const { name, schema } of spec.versions)
      schemas.set(`${spec.group}/${name}/${spec.names.kind}`, schema.openAPIV3Schema);
  return schemas;
}
