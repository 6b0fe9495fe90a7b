import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';

const FOLDER = fileURLToPath(new URL('../../../deploy/istio/', import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: what it may hold is what the schemas say, and they are data themselves.
export type Json = any;

/** One Kubernetes object. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: Json;
  readonly data?: Readonly<Record<string, string>>;
}

/** All objects of a file of `deploy/istio`. */
export async function readManifests(file: string): Promise<Manifest[]> {
  const documents = parseAllDocuments(await readFile(join(FOLDER, file), 'utf8'), { strict: true });
  return documents.map((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    return document.toJS() as Manifest;
  });
}

/** The `meshConfig` of the values for istiod. */
export async function readMeshConfig(): Promise<Json> {
  return (parse(await readFile(join(FOLDER, 'mesh-values.yaml'), 'utf8')) as { meshConfig: Json }).meshConfig;
}

/** @throws Error where there is none, or more than one */
export function only(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = manifests.filter((one) => one.kind === kind && (name === undefined || one.metadata.name === name));
  if (found.length !== 1) throw new Error(`${found.length} of ${kind} ${name ?? ''}`);
  return found[0] as Manifest;
}
