import assert from 'node:assert/strict';
import { startForwardAuth } from '../../../src/forward-auth/server.ts';
import { IDENTITY_HEADER_NAMES } from '../../../src/identity/headers.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { type RawAnswer, rawRequest } from '../../support/raw-request.ts';

export const PUBLIC_URL = 'https://mcp.example.com';
export const RESOURCE = `${PUBLIC_URL}/servers/github/mcp`;

export interface Gate {
  readonly port: number;
  readonly internalPort: number;
  readonly log: () => string;
  /** Moves the clock. */
  pass(milliseconds: number): void;
  /** Asks as Traefik does. */
  ask(
    uri: string,
    options?: {
      method?: string;
      token?: string;
      headers?: readonly string[];
      host?: string;
      scheme?: string;
    },
  ): Promise<RawAnswer>;
  /** Takes another configuration, as after a change of its file. */
  reload(auth: Record<string, unknown>, servers?: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export async function openGate(
  auth: Record<string, unknown>,
  servers: readonly string[] = ['github'],
  audit: object = {},
): Promise<Gate> {
  const configure = (settings: Record<string, unknown>, names: readonly string[]) =>
    parseConfig({
      publicUrl: PUBLIC_URL,
      drain: '1s',
      audit,
      auth: { listen: '127.0.0.1:0', internalListen: '127.0.0.1:0', ...settings },
      relay: { servers: Object.fromEntries(names.map((name) => [name, { url: 'http://127.0.0.1:9/mcp' }])) },
    });
  const config = configure(auth, servers);
  let written = '';
  const log = createLogger('auth', 'debug', {
    write: (line: string) => {
      written += line;
    },
  });
  let shift = 0;
  const running = await startForwardAuth(config, { log, now: () => Date.now() + shift });
  return {
    ...running,
    reload: (settings, names = servers) => running.reload(() => ({ config: configure(settings, names), warnings: [] })),
    log: () => written,
    pass: (milliseconds) => {
      shift += milliseconds;
    },
    ask: (uri, { method = 'GET', token, headers = [], host = 'mcp.example.com', scheme = 'https' } = {}) =>
      rawRequest(running.port, '/verify/traefik', {
        headers: [
          ...['X-Forwarded-Method', method, 'X-Forwarded-Uri', uri, 'X-Forwarded-Host', host],
          ...['X-Forwarded-Proto', scheme, 'X-Forwarded-For', '203.0.113.7'],
          ...(token === undefined ? [] : ['Authorization', `Bearer ${token}`]),
          ...headers,
        ],
      }),
  };
}

/** The one shape of an allow: exactly 200, no body, every identity header. */
export function assertAllowed(answer: RawAnswer, user: string): void {
  assert.equal(answer.status, 200, answer.body);
  assert.equal(answer.headers['content-length'], '0');
  for (const name of IDENTITY_HEADER_NAMES)
    assert.equal(typeof answer.headers[name.toLowerCase()], 'string', `${name} is in the answer`);
  assert.equal(answer.headers['x-authenticated-user'], user);
}

/** @returns the parsed body */
export function assertRefused(answer: RawAnswer, status: number, reason: string): Record<string, string> {
  assert.equal(answer.status, status, answer.body);
  const body = JSON.parse(answer.body) as Record<string, string>;
  assert.equal(body.reason, reason);
  assert.ok(body.request_id, 'the body names the request');
  for (const name of IDENTITY_HEADER_NAMES) assert.equal(answer.headers[name.toLowerCase()], undefined);
  return body;
}
