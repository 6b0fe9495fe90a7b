import type { Attributes } from '../platform/tracing/span.ts';
import type { Message } from './protocol/message.ts';
import { CLIENT_METHODS } from './protocol/methods.ts';

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
  if (!CLIENT_METHODS.has(method)) return 'request';
  return method === 'tools/call' && typeof params.name === 'string' && isListed(params.name)
    ? `${method} ${params.name}`
    : method;
}
