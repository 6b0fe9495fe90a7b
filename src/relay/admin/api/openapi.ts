import { z } from 'zod';
import { version } from '../../../platform/version.ts';
import type { AnyOperation } from '../operations/operation.ts';
import { problem } from './problem.ts';

export const API = '/admin/api';

interface JsonSchema {
  readonly properties?: Record<string, JsonSchema>;
  readonly required?: string[];
  readonly description?: string;
}

/** Problems of every operation. */
const COMMON_PROBLEMS: Readonly<Record<number, string>> = {
  400: 'The request does not fit this description.',
  401: 'Not signed in, or with a wrong password.',
  403: 'The signed-in user may not do this, or a page of another site asks.',
  429: 'Too many sign-ins failed from there.',
  503: 'Something that the relay needs does not answer.',
};

/** OpenAPI 3.1 of the API, from the schemas by which requests are read and answers are written. */
export function openApiDocument(operations: readonly AnyOperation[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { description } of operations) {
    const at = `${API}${description.path}`;
    paths[at] = { ...paths[at], [description.method.toLowerCase()]: pathOperation(description) };
  }
  paths[`${API}/activity/stream`] = { get: STREAM };
  paths[`${API}/openapi.json`] = { get: ITSELF };
  return withSharedSchemas({
    openapi: '3.1.1',
    info: {
      title: 'Postern admin API',
      version: version(),
      description:
        'What the admin pages show and do. A request that changes something has a JSON body or the method DELETE, and comes from no page of another site.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ password: [] }, { session: [] }],
    paths,
    components: {
      schemas: { Problem: schemaOf(problem, 'output') },
      securitySchemes: {
        password: { type: 'http', scheme: 'basic', description: 'relay.admin.user and relay.admin.password' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-postern',
          description: 'a browser session at forward-auth, of a member of one of relay.admin.groups',
        },
      },
    },
  });
}

function pathOperation({ id, method, path, summary, input, output, problems }: AnyOperation['description']): object {
  const { properties = {}, required = [] } = schemaOf(input, 'input');
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
  const others = Object.keys(properties).filter((name) => !inPath.includes(name));
  const parameter = (name: string, where: 'path' | 'query') => {
    const { description, ...schema } = properties[name] as JsonSchema;
    return {
      name,
      in: where,
      required: where === 'path' || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema,
    };
  };
  const body = {
    type: 'object',
    properties: Object.fromEntries(others.map((name) => [name, properties[name]])),
    required: required.filter((name) => others.includes(name)),
  };
  return {
    operationId: id,
    summary,
    parameters: [
      ...inPath.map((name) => parameter(name, 'path')),
      ...(method === 'POST' ? [] : others.map((name) => parameter(name, 'query'))),
    ],
    ...(method === 'POST' ? { requestBody: { required: true, content: json(body) } } : {}),
    responses: {
      200: { description: 'Done.', content: json(schemaOf(output, 'output')) },
      ...problemResponses({ ...COMMON_PROBLEMS, ...problems }),
    },
  };
}

function problemResponses(problems: Readonly<Record<number, string>>): object {
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return Object.fromEntries(
    Object.entries(problems).map(([status, description]) => [status, { description, content }]),
  );
}

/** JSON Schema 2020-12, which OpenAPI 3.1 takes as it is. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io });
  return rest as JsonSchema;
}

/** Named schemas are given with each schema that uses them; here they stand in one place. */
function withSharedSchemas(document: {
  components: { schemas: Record<string, object>; [other: string]: object };
  [other: string]: unknown;
}): object {
  const { schemas } = document.components;
  const text = JSON.stringify(document, (key, value: unknown) => {
    if (key !== '$defs') return value;
    Object.assign(schemas, value);
    return undefined;
  });
  const found = JSON.parse(text) as typeof document;
  return JSON.parse(
    JSON.stringify({ ...found, components: { ...found.components, schemas } }).replaceAll(
      '"#/$defs/',
      '"#/components/schemas/',
    ),
  ) as object;
}

const json = (schema: object) => ({ 'application/json': { schema } });

const STREAM = {
  operationId: 'followActivity',
  summary: 'What happens from now on: server-sent events, each with one entry as JSON',
  parameters: [],
  responses: {
    200: {
      description: 'A stream without end; the relay closes it now and then, and the client comes again.',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    },
    ...problemResponses({ ...COMMON_PROBLEMS, 429: 'Too many streams are open, or too many sign-ins failed.' }),
  },
};

const ITSELF = {
  operationId: 'getDescription',
  summary: 'This document',
  parameters: [],
  responses: {
    200: { description: 'OpenAPI 3.1.', content: json({ type: 'object' }) },
    ...problemResponses(COMMON_PROBLEMS),
  },
};
