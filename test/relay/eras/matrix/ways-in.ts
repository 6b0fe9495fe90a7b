import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { TRANSPORTS } from '../../support/sdk-client.ts';
import { legacyClient, modernClient } from '../support/clients.ts';
import { WATCHED } from './server.ts';

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (at: { progress: number }) => void;
}

/** A client of either era, as far as both do the same. */
export interface Asker {
  readonly serverName: string | undefined;
  readonly instructions: string | undefined;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<unknown>;
  tools(): Promise<string[]>;
  resources(cursor?: string): Promise<{ uris: string[]; next: string | undefined }>;
  templates(): Promise<string[]>;
  read(uri: string): Promise<unknown>;
  prompt(name: string, args: Record<string, string>): Promise<unknown>;
  complete(prompt: string, argument: string, start: string): Promise<string[]>;
  /** Calls the tool with logs of level info wanted. @returns what was logged */
  logsOf(name: string): Promise<unknown[]>;
  /** Hears of changes from when it resolves. */
  listen(heard: (what: string) => void): Promise<void>;
}

/** Every way in: three transports of the sessions' era, and the one of the stateless era. */
export const WAYS_IN: Readonly<Record<string, (port: number) => Promise<Asker>>> = {
  'v1 client, streamable HTTP': (port) => ofSessions(port),
  'v1 client, HTTP+SSE': (port) => ofSessions(port, 'http-sse'),
  'v1 client, WebSocket': (port) => ofSessions(port, 'websocket'),
  'v2 client (2026-07-28), streamable HTTP': stateless,
};

/** What the clients of both packages do in the same way. */
interface SharedClient {
  getServerVersion(): { name: string } | undefined;
  getInstructions(): string | undefined;
  listTools(): Promise<{ tools: Array<{ name: string }> }>;
  listResourceTemplates(): Promise<{ resourceTemplates: Array<{ uriTemplate: string }> }>;
  readResource(params: { uri: string }): Promise<unknown>;
  getPrompt(params: { name: string; arguments: Record<string, string> }): Promise<unknown>;
  complete(params: {
    ref: { type: 'ref/prompt'; name: string };
    argument: { name: string; value: string };
  }): Promise<{ completion: { values: string[] } }>;
}

function shared(client: SharedClient) {
  return {
    serverName: client.getServerVersion()?.name,
    instructions: client.getInstructions(),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    templates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    read: (uri: string) => client.readResource({ uri }),
    prompt: (name: string, args: Record<string, string>) => client.getPrompt({ name, arguments: args }),
    complete: async (name: string, argument: string, value: string) =>
      (await client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } })).completion
        .values,
  };
}

async function ofSessions(port: number, transport?: keyof typeof TRANSPORTS): Promise<Asker> {
  const by = transport === undefined ? undefined : TRANSPORTS[transport](port, 'alice');
  const client = await legacyClient(port, 'alice', undefined, by);
  const call: Asker['call'] = (name, args = {}, options = {}) =>
    client.callTool({ name, arguments: args }, undefined, options);
  return {
    ...shared(client),
    call,
    resources: async (cursor) => {
      const { resources, nextCursor } = await client.listResources({ ...(cursor !== undefined && { cursor }) });
      return { uris: resources.map(({ uri }) => uri), next: nextCursor };
    },
    logsOf: async (name) => {
      const logs: unknown[] = [];
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params.data));
      await client.setLoggingLevel('info');
      await call(name);
      return logs;
    },
    listen: async (heard) => {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => heard('tools'));
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => heard(params.uri));
      await client.subscribeResource({ uri: WATCHED });
    },
  };
}

async function stateless(port: number): Promise<Asker> {
  const client = await modernClient(`http://127.0.0.1:${port}/servers/one/mcp`);
  const call: Asker['call'] = (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options);
  return {
    ...shared(client),
    call,
    // The package's own list goes on to the last page by itself.
    resources: async (cursor) => {
      const { resources, nextCursor } = await client.request({
        method: 'resources/list',
        params: { ...(cursor !== undefined && { cursor }) },
      });
      return { uris: resources.map(({ uri }) => uri), next: nextCursor };
    },
    logsOf: async (name) => {
      const logs: unknown[] = [];
      client.setNotificationHandler('notifications/message', ({ params }) => void logs.push(params.data));
      await client.callTool({ name, _meta: { 'io.modelcontextprotocol/logLevel': 'info' } });
      return logs;
    },
    listen: async (heard) => {
      client.setNotificationHandler('notifications/tools/list_changed', () => heard('tools'));
      client.setNotificationHandler('notifications/resources/updated', ({ params }) => heard(params.uri));
      await client.listen({ toolsListChanged: true, resourceSubscriptions: [WATCHED] });
    },
  };
}
