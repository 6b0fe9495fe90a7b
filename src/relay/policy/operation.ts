import { isRecord } from '../../platform/is-record.ts';
import { MAX_METHOD, MAX_NAME, MAX_NAMES, MAX_OBJECTS } from '../protocol/name-bounds.ts';

/** What a message works on. */
export type McpObjectKind = 'tool' | 'prompt' | 'resource';

export interface McpObject {
  readonly kind: McpObjectKind;
  /** Name of the tool or prompt, URI of the resource. */
  readonly name: string;
}

/** One message of a client, as far as a policy cares. */
export type Operation =
  /** What makes and keeps a session; whoever may use anything at the server may do that. */
  | { readonly kind: 'session'; readonly method: string }
  /** A list, of which everybody sees what they may use. */
  | { readonly kind: 'list'; readonly method: string; readonly objects: McpObjectKind }
  | { readonly kind: 'objects'; readonly method: string; readonly objects: readonly McpObject[] }
  | { readonly kind: 'other'; readonly method: string }
  /** A message that names its object in a way that two servers could read differently, or not at all. */
  | { readonly kind: 'unclear'; readonly method: string };

const SESSION: ReadonlySet<string> = new Set(['initialize', 'ping', 'server/discover', 'logging/setLevel']);
const LISTS: ReadonlyMap<string, McpObjectKind> = new Map([
  ['tools/list', 'tool'],
  ['prompts/list', 'prompt'],
  ['resources/list', 'resource'],
  ['resources/templates/list', 'resource'],
]);
/** Methods that name one object, and the parameter that holds it. */
export const NAMED_METHODS: ReadonlyMap<string, readonly [kind: McpObjectKind, parameter: 'name' | 'uri']> = new Map([
  ['tools/call', ['tool', 'name']],
  ['prompts/get', ['prompt', 'name']],
  ['resources/read', ['resource', 'uri']],
  ['resources/subscribe', ['resource', 'uri']],
  ['resources/unsubscribe', ['resource', 'uri']],
]);
const OBJECT_METHODS: Readonly<Record<McpObjectKind, readonly string[]>> = {
  tool: ['tools/call'],
  prompt: ['prompts/get', 'completion/complete'],
  resource: [
    'resources/read',
    'resources/subscribe',
    'resources/unsubscribe',
    'completion/complete',
    'subscriptions/listen',
  ],
};
/** As every method of the protocol is spelled; what is not could be one of them to a careless server. */
const PLAIN = /^[\w$.-]+(?:\/[\w$.-]+)*$/;
const KNOWN: ReadonlySet<string> = new Set(
  [...SESSION, ...LISTS.keys(), ...NAMED_METHODS.keys(), 'completion/complete', 'subscriptions/listen'].map(
    looseMethod,
  ),
);

/** Methods that work on such objects. */
export function methodsOf(kind: McpObjectKind): readonly string[] {
  return OBJECT_METHODS[kind];
}

/** @param method undefined for a response to the server, and for a request without a message */
export function operationOf(method: string | undefined, params: Readonly<Record<string, unknown>>): Operation {
  if (method === undefined) return { kind: 'session', method: '' };
  if (method.length > MAX_METHOD) return { kind: 'unclear', method };
  if (SESSION.has(method) || method.startsWith('notifications/')) return { kind: 'session', method };
  const listed = LISTS.get(method);
  if (listed !== undefined) return { kind: 'list', method, objects: listed };
  const named = NAMED_METHODS.get(method);
  if (named !== undefined) return withObjects(method, [{ kind: named[0], name: params[named[1]] }]);
  if (method === 'completion/complete') return completion(method, params.ref);
  if (method === 'subscriptions/listen') return subscription(method, params);
  // A server that is careless with case would do what the policy thinks it does not know.
  return { kind: !PLAIN.test(method) || KNOWN.has(looseMethod(method)) ? 'unclear' : 'other', method };
}

/** A method as a careless server may read it. */
export function looseMethod(method: string): string {
  return method
    .normalize('NFKC')
    .replace(/[^a-z/]/gi, '')
    .toLowerCase();
}

/** What is completed is an argument of a prompt, or a variable of a template of resources. */
function completion(method: string, ref: unknown): Operation {
  if (!isRecord(ref)) return { kind: 'unclear', method };
  if (ref.type === 'ref/prompt') return withObjects(method, [{ kind: 'prompt', name: ref.name }]);
  if (ref.type === 'ref/resource') return withObjects(method, [{ kind: 'resource', name: ref.uri }]);
  return { kind: 'unclear', method };
}

/** The long stream of the stateless era names the resources whose changes it brings (2026-07-28, subscriptions). */
function subscription(method: string, params: Readonly<Record<string, unknown>>): Operation {
  const asked = isRecord(params.notifications) ? params.notifications : {};
  const uris = asked.resourceSubscriptions ?? [];
  if (!Array.isArray(uris)) return { kind: 'unclear', method };
  if (uris.length === 0) return { kind: 'session', method };
  return withObjects(
    method,
    uris.map((uri: unknown) => ({ kind: 'resource', name: uri })),
  );
}

function withObjects(method: string, found: ReadonlyArray<{ kind: McpObjectKind; name: unknown }>): Operation {
  if (found.length > MAX_OBJECTS) return { kind: 'unclear', method };
  const objects: McpObject[] = [];
  let length = 0;
  for (const { kind, name } of found) {
    if (typeof name !== 'string' || name.length > MAX_NAME) return { kind: 'unclear', method };
    length += name.length;
    if (length > MAX_NAMES) return { kind: 'unclear', method };
    objects.push({ kind, name });
  }
  return { kind: 'objects', method, objects };
}
