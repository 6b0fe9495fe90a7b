import type { Attributes } from '../platform/tracing/span.ts';
import type { Message } from './protocol/message.ts';

/** Methods of all revisions of MCP that a client sends. What else it may invent gets no name of its own. */
const METHODS: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'tools/call',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'completion/complete',
  'logging/setLevel',
  'subscriptions/listen',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/cancel',
  'tasks/update',
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/tasks/status',
]);
/** Characters. */
const MAX_ID = 64;

/**
 * What spans say of a message (OpenTelemetry's conventions for MCP). Never arguments, and no address of a resource, which may hold
 * what a query does. The session's id is a credential.
 */
export function mcpAttributes({ id, method, params }: Message): Attributes {
  const name = typeof params.name === 'string' ? params.name : undefined;
  return {
    'mcp.method.name': method ?? 'response',
    ...(id === undefined || id === null ? {} : { 'jsonrpc.request.id': String(id).slice(0, MAX_ID) }),
    ...(method === 'tools/call' && name !== undefined
      ? { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': name }
      : {}),
    ...(method === 'prompts/get' && name !== undefined ? { 'gen_ai.prompt.name': name } : {}),
  };
}

/** @param isListed whether the server itself has named the tool; other names are the client's invention */
export function mcpSpanName({ method, params }: Message, isListed: (tool: string) => boolean): string {
  if (method === undefined) return 'response';
  if (!METHODS.has(method)) return 'request';
  return method === 'tools/call' && typeof params.name === 'string' && isListed(params.name)
    ? `${method} ${params.name}`
    : method;
}
