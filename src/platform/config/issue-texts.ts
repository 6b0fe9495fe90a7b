import type { z } from 'zod';
import { nearName } from '../near-name.ts';
import { configJsonSchema, type JsonSchema, mapOf } from './keys.ts';

type Issue = z.core.$ZodIssue;

/** What a person reads of an issue: one line for each key, with its path. */
export function problemsOf(issue: Issue): string[] {
  const path = pathText(issue.path);
  if (issue.code === 'invalid_union') {
    // The form that fits but for its details; where none does, the message of the union.
    const near = issue.errors.find((issues) => issues.some((inner) => inner.path.length > 0 || 'keys' in inner));
    if (near !== undefined)
      return near.flatMap((inner) => problemsOf({ ...inner, path: [...issue.path, ...inner.path] }));
  }
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `${join(path, key)}: unknown key${suggestion(issue.path, key)}`);
  return [`${path === '' ? 'configuration' : path}: ${messageOf(issue)}`];
}

export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => join(text, part), '');
}

function join(path: string, part: PropertyKey): string {
  if (typeof part === 'number') return `${path}[${part}]`;
  return path === '' ? String(part) : `${path}.${String(part)}`;
}

/** Texts of the library, where the schema has none of its own. */
const LIBRARY = /^(?:Invalid|Too small|Too big|Unrecognized)\b/;

/** In the words of YAML, where the library speaks of types of JavaScript. */
export function messageOf(issue: Issue): string {
  if (!LIBRARY.test(issue.message)) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue);
    case 'too_small':
      return bound(issue.origin, Number(issue.minimum), issue.inclusive === false ? 'more than' : 'at least');
    case 'too_big':
      return bound(issue.origin, Number(issue.maximum), issue.inclusive === false ? 'less than' : 'at most');
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.join(', ')}`;
    case 'invalid_format':
      return format(issue);
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_key':
      return `this name cannot be used: ${issue.issues.map(messageOf).join(', ')}`;
    case 'invalid_element':
      return issue.issues.map(messageOf).join(', ');
    case 'invalid_union':
    case 'unrecognized_keys':
    case 'custom':
      return 'has a form that is not taken here; `postern config reference` says which is';
    default:
      return issue satisfies never;
  }
}

function wrongType({ message, expected: wanted }: Extract<Issue, { code: 'invalid_type' }>): string {
  const found = /received (\w+)$/.exec(message)?.[1] ?? '';
  const expected = TYPES[wanted] ?? wanted;
  if (found === 'undefined') return `needed: ${expected}`;
  const fix = wanted === 'string' && QUOTED.has(found) ? '; write it in quotes' : '';
  return `must be ${expected}, not ${TYPES[found] ?? found}${fix}`;
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys',
  record: 'a map of keys',
  null: 'nothing',
};
const QUOTED = new Set(['number', 'boolean', 'null']);

const UNITS: Readonly<Record<string, readonly [one: string, many: string]>> = {
  string: ['character', 'characters'],
  array: ['entry', 'entries'],
  record: ['key', 'keys'],
  object: ['key', 'keys'],
};

function bound(origin: string, limit: number, how: string): string {
  const unit = UNITS[origin];
  if (unit === undefined) return `must be ${how} ${limit}`;
  if (limit === 1 && how === 'at least') return 'must not be empty';
  return `must have ${how} ${limit} ${unit[limit === 1 ? 0 : 1]}`;
}

function format(issue: Extract<Issue, { code: 'invalid_format' }>): string {
  if ('prefix' in issue) return `must start with ${issue.prefix}`;
  if ('suffix' in issue) return `must end with ${issue.suffix}`;
  if ('includes' in issue) return `must contain ${issue.includes}`;
  return 'has a form that is not taken here; `postern config reference` says which is';
}

/** The nearest key of the map at that path, or all that it has; of whichever form, where there are several. */
function suggestion(path: readonly PropertyKey[], key: string): string {
  const forms = path.reduce<readonly JsonSchema[]>(
    (at, part) => at.flatMap((form) => inner(form, part)).flatMap(formsOf),
    formsOf(configJsonSchema()),
  );
  const siblings = new Set(
    forms.flatMap(({ properties = {} }) =>
      Object.entries(properties).flatMap(([name, { deprecated }]) => (deprecated ? [] : [name])),
    ),
  );
  if (siblings.size === 0) return '';
  const near = nearName(key, [...siblings]);
  return near === undefined ? `; possible here: ${[...siblings].join(', ')}` : `; did you mean \`${near}\`?`;
}

function formsOf(form: JsonSchema): readonly JsonSchema[] {
  return [form, ...(form.anyOf ?? [])];
}

function inner(form: JsonSchema, part: PropertyKey): readonly JsonSchema[] {
  const { properties = {}, items } = form;
  const found =
    typeof part === 'number' ? items : Object.hasOwn(properties, part) ? properties[String(part)] : mapOf(form);
  return found === undefined ? [] : [found];
}
