/** HTTP methods of the streamable HTTP transport. */
export type McpMethod = 'GET' | 'POST' | 'DELETE';

export const INITIALIZED = 'notifications/initialized';

/** Methods of all revisions of MCP that a client sends. */
export const CLIENT_METHODS: ReadonlySet<string> = new Set([
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
  INITIALIZED,
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/tasks/status',
]);

/**
 * Requests for one object, and the parameter that names it: what is mirrored into `Mcp-Name` (2026-07-28, streamable HTTP). A
 * server may answer just these with input requests (basic/patterns/mrtr).
 */
export const NAME_PARAMETERS: ReadonlyMap<string | undefined, 'name' | 'uri'> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
]);

/** Notifications of servers that the protocol knows, of any revision. */
const SERVER_NOTIFICATIONS: ReadonlySet<string> = new Set([
  'notifications/cancelled',
  'notifications/progress',
  'notifications/message',
  'notifications/resources/updated',
  'notifications/resources/list_changed',
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/elicitation/complete',
  'notifications/subscriptions/acknowledged',
  'notifications/tasks/status',
]);

/** Whether it is about a task, which goes on after its request is answered (2025-11-25, basic/utilities/tasks). */
export function isAboutTasks(method: string): boolean {
  return method.startsWith('tasks/') || method.startsWith('notifications/tasks/');
}

/** Whether a notification of a server is of an extension: what it means is for its client to say. */
export function isVendorNotification(method: unknown): boolean {
  return typeof method === 'string' && !SERVER_NOTIFICATIONS.has(method) && !CLIENT_METHODS.has(method);
}
