import { pino } from 'pino';
import { Agent } from 'undici';
import WebSocket from 'ws';
import type { RelayConfig } from '../../platform/config/schema.ts';
import { ConfigurationError } from '../../platform/errors.ts';
import { plainReason } from '../../platform/failure-reason.ts';
import { isRecord } from '../../platform/is-record.ts';
import { outboundAgent, outboundConnector } from '../../platform/outbound/connections.ts';
import { openSecret } from '../../platform/secret-source.ts';
import { readUpstreamTls } from '../../platform/tls.ts';
import { exchange, jsonOf, NoAnswer, objectIn } from './exchange.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { noAnswer } from './providers.ts';

type Server = RelayConfig['servers'][string];
type Environment = Readonly<Record<string, string | undefined>>;

/** Milliseconds. */
const TIMEOUT = 5_000;
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'postern-doctor', version: '1' } },
};
const UNREACHED = 'start the server, or correct the address';

/** Whether each MCP server answers `initialize`. A program is not started: that it is found was said before. */
export async function serverFindings({ servers }: RelayConfig, env: Environment): Promise<Finding[]> {
  const found = await Promise.all(
    Object.entries(servers).map(async ([name, server]) => {
      const at = `relay.servers.${name}`;
      if (server.url === undefined) return [];
      try {
        const tls = server.tls === undefined ? {} : readUpstreamTls(server.tls, `${at}.tls`);
        const headers = fixedCredential(server, at, env);
        if (/^wss?:/.test(server.url)) return [await webSocket(server.url, at, tls, headers)];
        return [await http(server, at, tls, headers)];
      } catch (error) {
        // A file that is not there was named before.
        if (error instanceof ConfigurationError) return [];
        throw error;
      }
    }),
  );
  return found.flat();
}

async function http(server: Server, at: string, tls: object, credential: Record<string, string>): Promise<Finding> {
  const url = server.url as string;
  const dispatcher = new Agent({ connect: outboundConnector({ timeout: TIMEOUT, ...tls }) });
  const fetcher = ((input: string, init?: RequestInit) =>
    fetch(input, { dispatcher, ...init } as RequestInit)) as typeof fetch;
  try {
    const isSse = server.transport === 'http-sse';
    const answer = await exchange(fetcher, url, {
      method: isSse ? 'GET' : 'POST',
      headers: {
        ...credential,
        Accept: isSse ? 'text/event-stream' : 'application/json, text/event-stream',
        ...(isSse ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(isSse ? {} : { body: JSON.stringify(INITIALIZE) }),
    }).catch(noAnswer);
    if (answer instanceof NoAnswer) return fail(`${at}.url`, `${url}: ${answer.message}`, UNREACHED);
    const session = answer.headers.get('mcp-session-id');
    if (session !== null)
      await exchange(fetcher, url, { method: 'DELETE', headers: { ...credential, 'Mcp-Session-Id': session } }).catch(
        noAnswer,
      );
    if (answer.status === 401 || answer.status === 403) return unproven(server, at, answer.status);
    if (isSse)
      return answer.status === 200 && answer.headers.get('content-type')?.startsWith('text/event-stream') === true
        ? ok(`${at}.url`, `${url} opens its stream`)
        : fail(
            `${at}.url`,
            `${url} answers ${answer.status} and no event stream`,
            'correct the address or `transport`',
          );
    return initialized(url, at, answer.status, jsonOf(answer));
  } finally {
    await dispatcher.destroy();
  }
}

function initialized(
  url: string,
  at: string,
  how: number | string,
  message: Record<string, unknown> | undefined,
): Finding {
  if (isRecord(message?.result)) {
    const { serverInfo, protocolVersion } = message.result;
    const who = isRecord(serverInfo) ? `${String(serverInfo.name)} ${String(serverInfo.version)}` : 'an MCP server';
    return ok(`${at}.url`, `${who.slice(0, 120)} answers initialize (${String(protocolVersion).slice(0, 20)})`);
  }
  // From 2026-07-28 on there is no `initialize`: who refuses it in JSON-RPC is an MCP server all the same.
  if (message?.jsonrpc === '2.0' && isRecord(message.error))
    return ok(`${at}.url`, `${url} answers in JSON-RPC and knows no initialize (error ${String(message.error.code)})`);
  return fail(
    `${at}.url`,
    `${url} answers initialize with ${how} and no JSON-RPC`,
    'name the MCP endpoint, often …/mcp',
  );
}

function unproven(
  { credential, assertion, identityHeaders, passthrough }: Server,
  at: string,
  status: number,
): Finding {
  if (credential?.bearer !== undefined || credential?.basic !== undefined || credential?.header !== undefined)
    return fail(`${at}.credential`, `the server refuses the credential (${status})`, 'give it one that is good there');
  if (credential !== undefined || assertion || identityHeaders || passthrough.length > 0)
    return ok(
      `${at}.url`,
      `the server answers and wants the credential of a person (${status}), which is not tried here`,
    );
  return warn(
    `${at}.url`,
    `the server wants a credential (${status}) and none is configured`,
    `set ${at}.credential or passthrough`,
  );
}

function silent(url: string, at: string): Finding {
  return fail(`${at}.url`, `${url} takes WebSockets and does not answer initialize`, 'name the MCP endpoint');
}

function webSocket(url: string, at: string, tls: object, headers: Record<string, string>): Promise<Finding> {
  const secure = url.startsWith('wss:');
  return new Promise((resolve) => {
    const socket = new WebSocket(url, ['mcp'], {
      headers,
      handshakeTimeout: TIMEOUT,
      agent: outboundAgent(secure ? 'https:' : 'http:', tls),
    });
    const late = setTimeout(() => end(silent(url, at)), TIMEOUT);
    const end = (finding: Finding) => {
      clearTimeout(late);
      resolve(finding);
      socket.terminate();
    };
    socket.on('open', () => socket.send(JSON.stringify(INITIALIZE)));
    socket.on('message', (data) => {
      const message = objectIn(String(data));
      // What it says unasked comes first from some.
      if (message === undefined || message.id === INITIALIZE.id) end(initialized(url, at, 'a message', message));
    });
    socket.on('close', () => end(silent(url, at)));
    socket.on('error', (error) => end(fail(`${at}.url`, `${url}: ${plainReason(error)}`, UNREACHED)));
  });
}

function fixedCredential({ credential }: Server, at: string, env: Environment): Record<string, string> {
  const log = pino({ level: 'silent' });
  const read = (location: Parameters<typeof openSecret>[0], kind: string) =>
    openSecret(location, `${at}.credential.${kind}`, { env, log }).current();
  if (credential?.bearer !== undefined) return { Authorization: `Bearer ${read(credential.bearer, 'bearer')}` };
  if (credential?.header !== undefined)
    return { [credential.header.name]: read(credential.header.value, 'header.value') };
  if (credential?.basic === undefined) return {};
  const { user, password } = credential.basic;
  return { Authorization: `Basic ${Buffer.from(`${user}:${read(password, 'basic.password')}`).toString('base64')}` };
}
