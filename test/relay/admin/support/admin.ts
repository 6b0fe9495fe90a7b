import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Answer, ask, onEnd, type RelayUnderTest, relay, upstream } from '../../support/relay.ts';

export const OPERATOR = { user: 'operator', password: 'correct-horse-battery-9' } as const;

export function basic(user: string, password: string): string[] {
  return ['Authorization', `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`];
}

export const SIGNED_IN = basic(OPERATOR.user, OPERATOR.password);

/** Tools whose names and descriptions attack whoever shows them. */
export const HOSTILE = '<script>alert(1)</script>"\'`onload=';

/** An MCP server of the sessions' era that lists some tools and answers calls. */
export function toolServer(tools: readonly object[]): Promise<string> {
  return upstream((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const { id, method } = JSON.parse(text === '' ? '{}' : text) as { id?: number; method?: string };
      const result = method === 'tools/list' ? { tools } : { content: [{ type: 'text', text: 'done' }] };
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
  });
}

/** A relay with admin pages, and who may use it: everybody whom the proxy on this machine names. */
export async function adminRelay(
  overrides: Parameters<typeof relay>[0] = {},
  deps: Parameters<typeof relay>[1] = {},
): Promise<RelayUnderTest> {
  return relay(
    { trust: { enabled: true }, admin: OPERATOR, ...overrides },
    { publicUrl: 'https://mcp.example.com', ...deps },
  );
}

export function look(port: number, path: string, headers: string[] = SIGNED_IN): Promise<Answer> {
  return ask(port, { method: 'GET', path, headers });
}

export async function read<T>(port: number, path: string, headers: string[] = SIGNED_IN): Promise<T> {
  const answer = await look(port, path, headers);
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return JSON.parse(answer.text) as T;
}

/** Sends a message as a user whom the proxy names. */
export function say(
  port: number,
  user: string,
  message: object,
  server = 'one',
  extra: string[] = [],
): Promise<Answer> {
  return ask(port, {
    path: `/servers/${server}/mcp`,
    headers: ['X-Authenticated-User', user, 'Accept', 'application/json, text/event-stream', ...extra],
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }),
  });
}

export interface FakeForwardAuth {
  readonly access: { readonly url: string; readonly token: string };
  readonly asked: string[];
}

/** What the operator API of forward-auth answers, with one person's sessions. */
export async function forwardAuth(): Promise<FakeForwardAuth> {
  const token = 'the token of the operator of forward-auth';
  const asked: string[] = [];
  const sessions = new Map(['laptop', 'phone'].map((key) => [key, sessionOf(key)]));
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const allowed = request.headers.authorization === `Bearer ${token}`;
    const key = /^\/sessions\/([\w-]+)$/.exec(request.url ?? '')?.[1];
    const answer = (status: number, body: object) => response.writeHead(status).end(JSON.stringify(body));
    if (!allowed) return answer(401, { error: 'invalid_token' });
    if (request.url?.startsWith('/denials')) return answer(200, { replica: 'auth-1', denials: [DENIED] });
    if (request.method === 'GET') return answer(200, { sessions: [...sessions.values()] });
    if (key !== undefined)
      return sessions.delete(key) ? answer(200, { ended: 1 }) : answer(404, { error: 'not_found' });
    const ended = sessions.size;
    sessions.clear();
    return answer(200, { ended });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => new Promise((resolve) => server.close(resolve)));
  return { access: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token }, asked };
}

const DENIED = {
  time: '2026-11-25T09:30:00.000Z',
  process: 'forward-auth',
  event: 'denial',
  outcome: 'deny',
  user: 'https://idp.example.com#8c5e2f4a-0c1d-4a53-9d2f-6a0f7f0c9b11',
  username: 'ann',
  credential: 'bearer',
  via: 'traefik',
  client: '192.0.2.7',
  server: 'github',
  action: 'POST',
  object: 'mcp.example.com/servers/github/mcp',
  reason: 'not_allowed',
  rule: 'auth.rules[2]',
  needs: 'one of the groups [enginering, sales]',
  has: 'groups [engineering, staff]',
  fix: '"engineering" is nearly "enginering": correct the group at the provider, or auth.rules[2].allow.groups',
  durationMs: 0.4,
  requestId: '1f1ba1a8-6f2b-4f64-a0f9-6c2d5a1c7a10',
  count: 3,
};

function sessionOf(key: string) {
  return {
    key,
    provider: 'corp',
    user: 'https://idp.example.com#8c5e2f4a-0c1d-4a53-9d2f-6a0f7f0c9b11',
    username: 'ann',
    name: 'Ann Archer',
    created: '2026-11-25T08:00:00.000Z',
    ends: '2026-11-26T08:00:00.000Z',
    userAgent: `Firefox on a ${key}`,
    address: '192.0.2.7',
  };
}

/** An MCP server whose GET streams stay open. */
export function streamServer(): Promise<string> {
  return upstream((request, response) => {
    request.resume();
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(': open\n\n');
  });
}

/** Opens a GET stream at the server `live`. `ended` resolves when the relay has ended it. */
export async function openStream(port: number, user: string): Promise<{ readonly ended: Promise<unknown> }> {
  const response = await fetch(`http://127.0.0.1:${port}/servers/live/mcp`, {
    headers: { 'X-Authenticated-User': user, 'X-Authenticated-Groups': 'engineering', Accept: 'text/event-stream' },
  });
  if (response.status !== 200) throw new Error(`no stream: ${response.status} ${await response.text()}`);
  const ended = response.text().catch(() => undefined);
  return { ended };
}
