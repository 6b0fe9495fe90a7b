import { isDeepStrictEqual } from 'node:util';
import type { Json } from './manifests.ts';

const WITHOUT_MEANING = [
  ...['description', 'format', 'nullable', 'default', 'title', 'externalDocs'],
  // How changes of two owners are merged.
  ...['x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'x-kubernetes-map-type'],
];

type Check = (limit: Json, value: Json, at: string, schema: Json) => string[];

const isObject = (value: Json) => typeof value === 'object' && value !== null && !Array.isArray(value);
const when = (wrong: boolean, problem: string) => (wrong ? [problem] : []);
const size = (value: Json) => [...String(value)].length;
const passing = (schemas: Json[], value: Json, at: string) =>
  schemas.filter((schema) => validate(schema, value, at).length === 0).length;

const CHECKS: Readonly<Record<string, Check>> = {
  type: (type, value, at) => {
    const fits =
      type === 'object'
        ? isObject(value)
        : type === 'array'
          ? Array.isArray(value)
          : type === 'integer'
            ? Number.isInteger(value)
            : typeof value === type;
    return when(!fits, `${at} must be of type ${type}`);
  },
  properties: (properties, value, at, schema) => {
    if (!isObject(value)) return [];
    return Object.entries(value).flatMap(([name, one]) => {
      if (Object.hasOwn(properties, name)) return validate(properties[name], one, `${at}.${name}`);
      // The API server would drop it in silence. A schema without a type only adds conditions to another.
      const open = schema['x-kubernetes-preserve-unknown-fields'] || schema.type === undefined;
      return when(!open, `${at}.${name} is not known`);
    });
  },
  additionalProperties: (schema, value, at) =>
    isObject(value) ? Object.entries(value).flatMap(([name, one]) => validate(schema, one, `${at}.${name}`)) : [],
  required: (names, value, at) =>
    isObject(value)
      ? names.flatMap((name: string) => when(!Object.hasOwn(value, name), `${at}.${name} is missing`))
      : [],
  items: (schema, value, at) =>
    Array.isArray(value) ? value.flatMap((one, index) => validate(schema, one, `${at}[${index}]`)) : [],
  enum: (values, value, at) =>
    when(!values.some((one: Json) => isDeepStrictEqual(one, value)), `${at} must be one of ${values.join(', ')}`),
  pattern: (pattern, value, at) =>
    when(typeof value === 'string' && !new RegExp(pattern).test(value), `${at} must match ${pattern}`),
  minimum: (limit, value, at) => when(value < limit, `${at} must be at least ${limit}`),
  maximum: (limit, value, at) => when(value > limit, `${at} must be at most ${limit}`),
  minLength: (limit, value, at) => when(size(value) < limit, `${at} is too short`),
  maxLength: (limit, value, at) => when(size(value) > limit, `${at} is too long`),
  minItems: (limit, value, at) => when(value?.length < limit, `${at} has too few entries`),
  maxItems: (limit, value, at) => when(value?.length > limit, `${at} has too many entries`),
  minProperties: (limit, value, at) => when(Object.keys(value).length < limit, `${at} has too few entries`),
  maxProperties: (limit, value, at) => when(Object.keys(value).length > limit, `${at} has too many entries`),
  oneOf: (schemas, value, at) => when(passing(schemas, value, at) !== 1, `${at} must be exactly one of its forms`),
  anyOf: (schemas, value, at) => when(passing(schemas, value, at) === 0, `${at} must be one of its forms`),
  allOf: (schemas, value, at) => schemas.flatMap((schema: Json) => validate(schema, value, at)),
  not: (schema, value, at) => when(validate(schema, value, at).length === 0, `${at} has what it must not have`),
  'x-kubernetes-int-or-string': (_limit, value, at) =>
    when(!Number.isInteger(value) && typeof value !== 'string', `${at} must be a number or a text`),
  'x-kubernetes-preserve-unknown-fields': () => [],
  // Of the CEL rules only this one is evaluated: an operator's natural `0s` breaks it.
  'x-kubernetes-validations': (rules, value, at) =>
    rules.flatMap(({ rule, message }: Json) =>
      when(rule === "duration(self) >= duration('1ms')" && /^[0.]+[a-z]+$/.test(value), `${at}: ${message}`),
    ),
};

/**
 * A value against the schema of a custom resource (OpenAPI 3, as Kubernetes restricts it). Fields that the schema does not
 * name are faults, because the API server would drop them and a mistyped policy would not apply.
 *
 * @returns what is wrong
 * @throws Error where the schema says something that this does not understand
 */
export function validate(schema: Json, value: Json, at = ''): string[] {
  return Object.entries(schema).flatMap(([keyword, limit]) => {
    if (WITHOUT_MEANING.includes(keyword)) return [];
    const check = CHECKS[keyword];
    if (check === undefined) throw new Error(`the schema of ${at} says ${keyword}`);
    return check(limit, value, at, schema);
  });
}
