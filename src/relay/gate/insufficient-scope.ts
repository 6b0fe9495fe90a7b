import { nameList } from '../../identity/denial-cause.ts';
import type { DemandEntry, OperationDemand } from '../../identity/operation-demand.ts';
import { bearerChallenge } from '../../platform/bearer-challenge.ts';
import { Names } from '../../platform/names.ts';
import { ResourceUris } from '../../platform/resource-uris.ts';
import { looseMethod, NAMED_METHODS } from '../policy/operation.ts';
import type { Message } from '../protocol/message.ts';
import type { Refusal } from '../refusal.ts';

/**
 * Asks of a message what forward-auth could not, because only the body tells what it does.
 *
 * @param demand from the assertion of the request that brought the message; undefined: nothing is left to ask
 * @returns the step-up of the MCP specification (basic/authorization): 403 with all scopes that the operation needs at once
 */
export function insufficientScope(demand: OperationDemand | undefined, message: Message): Refusal | undefined {
  if (demand === undefined || message.method === undefined) return undefined;
  const needed = demand.entries.filter((entry) => asksFor(entry, message.method as string, message.params));
  if (needed.every(({ held }) => held)) return undefined;
  const scopes = [...new Set([...demand.always, ...needed.flatMap((entry) => entry.scopes)])];
  const held = [...new Set([...demand.always, ...needed.flatMap((entry) => (entry.held ? entry.scopes : []))])];
  const scope = scopes.join(' ');
  const description = `this needs the scopes: ${scope}`;
  return {
    status: 403,
    reason: 'insufficient_scope',
    message: description,
    needs: `the scopes ${nameList(scopes)}`,
    has: `of them ${nameList(held)}`,
    fix: 'let the client ask for a token with these scopes, or change `scopes` of the rule in auth.rules',
    // Where there is no HTTP answer, as on a WebSocket, this is all that a client gets.
    data: { error: 'insufficient_scope', scope, resource_metadata: demand.metadataUrl },
    headers: {
      'WWW-Authenticate': bearerChallenge({
        error: 'insufficient_scope',
        error_description: description,
        resource_metadata: demand.metadataUrl,
        scope,
      }),
    },
  };
}

function asksFor({ by, glob }: DemandEntry, method: string, params: Message['params']): boolean {
  // What refuses compares as a deny rule of the policy does.
  const globs = by === 'resource' ? new ResourceUris([glob]) : new Names([glob]);
  const matches = (name: string) => globs.hasLike(name);
  if (by === 'method') return matches(method);
  const loose = looseMethod(method);
  const named = NAMED_METHODS.get(loose);
  if (named?.[0] !== by) return by === 'resource' && loose === 'subscriptions/listen' && listensTo(matches, params);
  const name = params[named[1]];
  // What is no name here may be one to the server.
  return typeof name !== 'string' || matches(name);
}

/** The long stream of the stateless era names the resources whose changes it brings (2026-07-28, subscriptions). */
function listensTo(matches: (uri: string) => boolean, { notifications }: Message['params']): boolean {
  if (typeof notifications !== 'object' || notifications === null) return false;
  const uris = (notifications as Readonly<Record<string, unknown>>).resourceSubscriptions ?? [];
  return !Array.isArray(uris) || uris.some((uri) => typeof uri !== 'string' || matches(uri));
}
