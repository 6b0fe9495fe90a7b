import { once } from 'node:events';
import { type IncomingMessage, request as send } from 'node:http';
import { WebSocket } from 'ws';
import { ask, onEnd } from '../../support/relay.ts';

export const USER = ['X-Authenticated-User', 'alice'];
export const ACCEPT = ['Accept', 'application/json, text/event-stream'];
export const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}';
export const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';

/** Where a server is, and what its tool is called there. */
export interface Place {
  readonly path: string;
  readonly tool: string;
}

/** Sends one call by its text. @returns all that came back since, as text */
type Client = (port: number, place: Place, id: string, args: string) => Promise<string>;

/** Every kind of client, by raw text. */
export const CLIENTS: Readonly<Record<string, Client>> = {
  'streamable HTTP with a session': async (port, { path, tool }, id, args) => {
    const post = (body: string, headers: string[] = []) =>
      ask(port, { path: `${path}/mcp`, headers: [...USER, ...ACCEPT, ...headers], body });
    const session = String((await post(INITIALIZE)).headers['mcp-session-id']);
    const headers = ['Mcp-Session-Id', session, 'MCP-Protocol-Version', '2025-06-18'];
    await post(INITIALIZED, headers);
    return (await post(call(tool, id, args), headers)).text;
  },
  'streamable HTTP without': async (port, { path, tool }, id, args) => {
    const meta =
      '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}},';
    const headers = ['MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', 'tools/call', 'Mcp-Name', tool];
    const body = call(tool, id, args).replace('"params":{', `"params":{${meta}`);
    return (await ask(port, { path: `${path}/mcp`, headers: [...USER, ...ACCEPT, ...headers], body })).text;
  },
  WebSocket: async (port, { path, tool }, id, args) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}/ws`, 'mcp', {
      headers: { 'X-Authenticated-User': 'alice' },
    });
    onEnd(() => socket.terminate());
    await once(socket, 'open');
    const next = async (text: string) => {
      const answered = once(socket, 'message');
      socket.send(text);
      return String((await answered)[0]);
    };
    await next(INITIALIZE);
    socket.send(INITIALIZED);
    return next(call(tool, id, args));
  },
  'HTTP+SSE': async (port, { path, tool }, id, args) => {
    const headers = ['Host', 'mcp.example.com', ...USER, 'Accept', 'text/event-stream'];
    const request = send({ host: '127.0.0.1', port, path: `${path}/sse`, headers, agent: false }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    onEnd(() => response.destroy());
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('error', () => {});
    const until = async (pattern: RegExp): Promise<string> => {
      for (let found = pattern.exec(text); ; found = pattern.exec(text)) {
        if (found !== null) return found[1] as string;
        await once(response, 'data');
      }
    };
    const endpoint = await until(/^event: endpoint\ndata: (\S+)\n\n/);
    const post = (body: string) => ask(port, { path: endpoint, headers: USER, body });
    await post(INITIALIZE);
    await until(/data: (.*"protocolVersion".*)\n\n/);
    await post(INITIALIZED);
    await post(call(tool, id, args));
    return until(/data: (.*"(?:structuredContent|error)".*)\n\n/);
  },
};

export function call(tool: string, id: string, args: string): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":${args}}}`;
}
