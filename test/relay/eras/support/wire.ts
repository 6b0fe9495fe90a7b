import { request as send } from 'node:http';
import { ask } from '../../support/relay.ts';

export type Json = Record<string, unknown>;

const META = 'io.modelcontextprotocol/';

/** A stateless request as it is written, by whoever sends it. */
export function modernRequest(user: string, method: string, params: Json = {}, meta: Json = {}) {
  const message = {
    jsonrpc: '2.0',
    id: 1,
    method,
    params: {
      ...params,
      _meta: {
        [`${META}protocolVersion`]: '2026-07-28',
        [`${META}clientInfo`]: { name: 'wire', version: '1' },
        [`${META}clientCapabilities`]: { elicitation: { form: {} } },
        ...meta,
      },
    },
  };
  const name = params.name ?? params.uri;
  const headers = ['X-Authenticated-User', user, 'Accept', 'application/json, text/event-stream'];
  headers.push('MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', method);
  if (typeof name === 'string') headers.push('Mcp-Name', name);
  return { headers, body: JSON.stringify(message) };
}

/** The last message of the answer, whether it came as JSON or as a stream. */
export async function askModern(
  port: number,
  user: string,
  method: string,
  params: Json = {},
  meta: Json = {},
  path = '/servers/one/mcp',
) {
  const answer = await ask(port, { ...modernRequest(user, method, params, meta), path });
  const text = answer.text.includes('data: ') ? answer.text.trim().split('data: ').at(-1) : answer.text;
  const message = JSON.parse(text ?? '') as { result?: Json; error?: { code: number; message: string } };
  return { status: answer.status, ...message };
}

/** A stateless request whose answer is read as it comes, until the test closes it. */
export function openModern(port: number, user: string, method: string, params: Json = {}) {
  return openStream(port, modernRequest(user, method, params));
}

function openStream(port: number, { headers, body }: { headers: string[]; body: string | undefined }) {
  const messages: Json[] = [];
  let rest = '';
  const method = body === undefined ? 'GET' : 'POST';
  const framing = body === undefined ? [] : ['Content-Length', String(Buffer.byteLength(body))];
  const all = [...headers, 'Host', 'mcp.example.com', 'Content-Type', 'application/json', ...framing];
  const request = send(
    { host: '127.0.0.1', port, method, path: '/servers/one/mcp', agent: false, headers: all },
    (response) => {
      response.on('data', (chunk) => {
        rest += chunk;
        const events = rest.split('\n\n');
        rest = events.pop() ?? '';
        for (const event of events) if (event.startsWith('data: ')) messages.push(JSON.parse(event.slice(6)) as Json);
      });
      response.on('error', () => {});
    },
  );
  request.on('error', () => {});
  request.end(body);
  return { messages, close: () => request.destroy() };
}

const FACTS = {
  protocolVersion: '2025-06-18',
  capabilities: { elicitation: {} },
  clientInfo: { name: 'wire', version: '1' },
};

/** A request of the sessions' era as it is written. */
export function askLegacy(port: number, user: string, session: string | undefined, method: string, params: Json = {}) {
  return ask(port, legacyRequest(user, session, { id: 1, method, params }));
}

/** The same, whose answer is read as it comes. */
export function openLegacy(port: number, user: string, session: string, method: string, params: Json) {
  return openStream(port, legacyRequest(user, session, { id: 1, method, params }));
}

/** The stream of what is said unasked. */
export function listenLegacy(port: number, user: string, session: string) {
  return openStream(port, { ...legacyRequest(user, session, {}), body: undefined });
}

/** Answers a request of the server, or says something that needs no answer. */
export function answerLegacy(port: number, user: string, session: string, message: Json) {
  return ask(port, legacyRequest(user, session, message));
}

function legacyRequest(user: string, session: string | undefined, message: Json) {
  const headers = ['X-Authenticated-User', user, 'Accept', 'application/json, text/event-stream'];
  if (session !== undefined) headers.push('Mcp-Session-Id', session, 'MCP-Protocol-Version', '2025-06-18');
  return { headers, body: JSON.stringify({ jsonrpc: '2.0', ...message }) };
}

/** @returns the id of a new session */
export async function openSession(port: number, user: string, path = '/servers/one/mcp'): Promise<string> {
  const request = legacyRequest(user, undefined, { id: 1, method: 'initialize', params: FACTS });
  const { headers } = await ask(port, { ...request, path });
  return String(headers['mcp-session-id']);
}
