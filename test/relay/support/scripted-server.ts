import type { IncomingMessage, ServerResponse } from 'node:http';
import { upstream } from './relay.ts';

type Json = Record<string, unknown>;

export interface Seen {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly message: Json | undefined;
}

/** What a test lets its server do; undefined: the usual answer. */
export interface Script {
  post?: ((message: Json, response: ServerResponse, request: IncomingMessage) => boolean | undefined) | undefined;
  get?: ((response: ServerResponse, request: IncomingMessage) => boolean | undefined) | undefined;
}

export const SESSION = 'session-of-the-server';

/** A small streamable HTTP server in the hands of a test, which remembers what it was asked. */
export async function scriptedServer(script: Script = {}): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const url = await upstream((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const message = text === '' ? undefined : (JSON.parse(text) as Json);
      seen.push({ method: request.method ?? '', headers: request.headers, message });
      if (request.method === 'DELETE') return response.writeHead(200).end();
      if (request.method === 'GET') {
        if (script.get?.(response, request) !== true) response.writeHead(405).end();
        return;
      }
      if (message === undefined || script.post?.(message, response, request) === true) return;
      answer(message, response);
    });
  });
  return { url, seen };
}

export function answer(message: Json, response: ServerResponse): void {
  const { id, method } = message;
  if (method === undefined || id === undefined) return void response.writeHead(202).end();
  const result =
    method === 'initialize'
      ? { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'scripted', version: '1' } }
      : { method };
  response.writeHead(200, { 'Content-Type': 'application/json', 'Mcp-Session-Id': SESSION });
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
}

export function event(message: Json, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
}

export function openStream(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.flushHeaders();
}
