import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import { readDefinitions, schemasOf } from '../kubernetes/custom-resources.ts';
import type { Json } from './manifests.ts';

/** Istio's API as it publishes it. */
export const ISTIO_API = 'istio.io/api@v1.31.4';

/** Schemas of Istio's own kinds by `apiVersion/kind`, as the API server would apply them. */
export async function readSchemas(folder: string): Promise<Map<string, Json>> {
  const file = join(folder, 'kubernetes/customresourcedefinitions.gen.yaml');
  return schemasOf(readDefinitions(await readFile(file, 'utf8')));
}

interface Field {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}
interface Message {
  readonly name: string;
  readonly field: readonly Field[];
  readonly nestedType: readonly Message[];
  readonly enumType: ReadonlyArray<{ readonly name: string; readonly value: ReadonlyArray<{ readonly name: string }> }>;
}

/** Names and kinds of values of a mesh configuration against Istio's .proto. @returns what is wrong */
export function checkMeshConfig(folder: string, config: Json): string[] {
  const definitions = loadSync(join(folder, 'mesh/v1alpha1/config.proto'), {
    includeDirs: [folder, join(folder, 'common-protos')],
  });
  const root = (definitions['istio.mesh.v1alpha1.MeshConfig'] as unknown as { type: Message }).type;
  const nested = new Map<string, Message>();
  const enums = new Map<string, readonly string[]>();
  const collect = (message: Message) => {
    nested.set(message.name, message);
    for (const { name, value } of message.enumType)
      enums.set(
        name,
        value.map((one) => one.name),
      );
    for (const one of message.nestedType) collect(one);
  };
  collect(root);

  const problems: string[] = [];
  const walk = (message: Message, value: Json, at: string) => {
    for (const [name, given] of Object.entries(value as object)) {
      const field = message.field.find((one) => one.name === name);
      if (field === undefined) problems.push(`${at}.${name} is not known`);
      else
        for (const one of field.label === 'LABEL_REPEATED' ? list(given, `${at}.${name}`) : [given])
          single(field, one, `${at}.${name}`);
    }
  };
  const list = (value: Json, at: string): Json[] => {
    if (Array.isArray(value)) return value;
    problems.push(`${at} must be a list`);
    return [];
  };
  const single = (field: Field, value: Json, at: string) => {
    const type = field.typeName.split('.').at(-1) ?? '';
    const known = enums.get(type);
    const message = nested.get(type);
    if (field.type === 'TYPE_ENUM' && known !== undefined) {
      if (!known.includes(value)) problems.push(`${at} must be one of ${known.join(', ')}`);
    } else if (field.type === 'TYPE_MESSAGE' && type === 'Duration') {
      if (!/^\d+(\.\d+)?s$/.test(value)) problems.push(`${at} must be a duration`);
    } else if (field.type === 'TYPE_MESSAGE' && message !== undefined) walk(message, value, at);
    else if (field.type === 'TYPE_STRING' || field.type === 'TYPE_BOOL' || field.type === 'TYPE_UINT32') {
      const wanted = { TYPE_STRING: 'string', TYPE_BOOL: 'boolean', TYPE_UINT32: 'number' }[field.type];
      if (typeof value !== wanted) problems.push(`${at} must be a ${wanted}`);
    } else problems.push(`${at} is of a type that this check does not know: ${field.type} ${type}`);
  };
  walk(root, config, 'meshConfig');
  return problems;
}
