import { parseAllDocuments } from 'yaml';
import type { Json, Manifest } from '../istio/manifests.ts';

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
