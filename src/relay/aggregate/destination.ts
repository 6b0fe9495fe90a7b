import { isRecord } from '../../platform/is-record.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { isListMethod, type ListMethod } from './listings.ts';
import type { Names, ServersOwn } from './names.ts';
import { uriToServer } from './uris.ts';

/** Who answers a request. */
export type Destination =
  | { readonly kind: 'one'; readonly server: string; readonly params: Json }
  | { readonly kind: 'list'; readonly method: ListMethod }
  | { readonly kind: 'log_level' }
  | { readonly kind: 'self'; readonly method: 'initialize' | 'ping' | 'server/discover' }
  | { readonly kind: 'listen' }
  | { readonly kind: 'not_found'; readonly what: string }
  | { readonly kind: 'unknown_method' };

/** Reads out of a request which server is meant, in the name or the URI of what it is about. Nothing is guessed. */
export function destinationOf(method: string, params: Json, names: Names): Destination {
  switch (method) {
    case 'initialize':
    case 'ping':
    case 'server/discover':
      return { kind: 'self', method };
    case 'subscriptions/listen':
      return { kind: 'listen' };
    case 'logging/setLevel':
      return { kind: 'log_level' };
    case 'tools/call':
      return one(nameOf(params, names), 'tool', params, 'name');
    case 'prompts/get':
      return one(nameOf(params, names), 'prompt', params, 'name');
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return one(uriOf(params), 'resource', params, 'uri');
    case 'completion/complete':
      return completion(params, names);
    default:
      return isListMethod(method) ? { kind: 'list', method } : { kind: 'unknown_method' };
  }
}

/** What is completed is an argument of a prompt or of a template (server/utilities/completion). */
function completion(params: Json, names: Names): Destination {
  const { ref } = params;
  if (isRecord(ref) && ref.type === 'ref/prompt') return oneRef(nameOf(ref, names), 'prompt', params, ref, 'name');
  if (isRecord(ref) && ref.type === 'ref/resource') return oneRef(uriOf(ref), 'resource', params, ref, 'uri');
  return { kind: 'not_found', what: 'reference' };
}

function nameOf({ name }: Json, names: Names): ServersOwn | undefined {
  return typeof name === 'string' ? names.toServer(name) : undefined;
}

function uriOf({ uri }: Json): ServersOwn | undefined {
  return typeof uri === 'string' ? uriToServer(uri) : undefined;
}

function one(own: ServersOwn | undefined, what: string, params: Json, key: 'name' | 'uri'): Destination {
  return own === undefined
    ? { kind: 'not_found', what }
    : { kind: 'one', server: own.server, params: { ...params, [key]: own.name } };
}

function oneRef(own: ServersOwn | undefined, what: string, params: Json, ref: Json, key: 'name' | 'uri'): Destination {
  return own === undefined
    ? { kind: 'not_found', what }
    : { kind: 'one', server: own.server, params: { ...params, ref: { ...ref, [key]: own.name } } };
}
