// What an MCP client does: finds out where to sign in, registers, gets a token for one server, calls a tool.

import { createHash, randomBytes } from 'node:crypto';
import { send } from './person.mjs';

/** No server listens there: the person is stopped before. RFC 8252 §7.3. */
const REDIRECT = 'http://127.0.0.1:33418/callback';
const JSON_TYPE = { 'Content-Type': 'application/json' };
const MCP = { ...JSON_TYPE, Accept: 'application/json, text/event-stream' };

const rpc = (id, method, params) => JSON.stringify({ jsonrpc: '2.0', id, method, params });

/** One JSON-RPC request. @returns status, headers, and the answer to it where there is one */
export async function ask(endpoint, id, method, params, headers = {}) {
  const answer = await send(endpoint, {
    method: 'POST',
    headers: { ...MCP, ...headers },
    body: rpc(id, method, params),
  });
  return { ...answer, message: messageOf(answer.text) };
}

/** JSON, or the first message of an event stream. */
function messageOf(text) {
  const [, data] = /^data: ?(\{.*)$/m.exec(text) ?? [];
  try {
    return JSON.parse(data ?? text);
  } catch {
    return undefined;
  }
}

/** Opens a session and calls a tool that returns its argument; without one, lists the tools. @throws Error */
export async function useServer(endpoint, headers, tool) {
  const opened = await ask(
    endpoint,
    1,
    'initialize',
    { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'postern-check', version: '1' } },
    headers,
  );
  if (opened.status !== 200) throw new Error(`initialize: ${opened.status} ${opened.text.slice(0, 300)}`);
  const session = opened.headers['mcp-session-id'];
  const further = {
    ...headers,
    'Mcp-Protocol-Version': opened.message?.result?.protocolVersion ?? '2025-06-18',
    ...(session === undefined ? {} : { 'Mcp-Session-Id': session }),
  };
  await send(endpoint, {
    method: 'POST',
    headers: { ...MCP, ...further },
    body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }),
  });
  const [method, params] =
    tool === undefined
      ? ['tools/list', {}]
      : ['tools/call', { name: tool, arguments: { message: 'through the gate' } }];
  const called = await ask(endpoint, 2, method, params, further);
  const result = called.message?.result;
  if (result === undefined) throw new Error(`${method}: ${called.status} ${called.text.slice(0, 300)}`);
  if (tool !== undefined && !JSON.stringify(result).includes('through the gate'))
    throw new Error(`another answer: ${JSON.stringify(result)}`);
}

/**
 * The protected resource's metadata, by the challenge that a client without a token gets (RFC 9728 §5.1).
 *
 * @returns {Promise<{ resource: string, authorization_servers: string[] }>}
 */
export async function discover(endpoint) {
  const refused = await ask(endpoint, 1, 'ping', {});
  if (refused.status !== 401) throw new Error(`without a token: ${refused.status}, expected 401`);
  const challenge = refused.headers['www-authenticate'] ?? '';
  const [, metadataUrl] = /^Bearer\b.*\bresource_metadata="([^"]+)"/i.exec(challenge) ?? [];
  if (metadataUrl === undefined) throw new Error(`no resource_metadata in WWW-Authenticate: ${challenge}`);
  const metadata = await json(metadataUrl);
  if (metadata.resource !== endpoint) throw new Error(`metadata of ${metadata.resource}, expected ${endpoint}`);
  return metadata;
}

/** @returns {Promise<string>} an access token for `resource`, after the person has signed in and agreed */
export async function authorize({ resource, authorization_servers: [issuer], scopes_supported: scopes = [] }, person) {
  const server = await serverMetadata(issuer);
  const client = await json(server.registration_endpoint, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({
      client_name: 'Postern check',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }),
  });
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const address = new URL(server.authorization_endpoint);
  address.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: REDIRECT,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state,
    resource,
    // Some providers give nothing to who asks for nothing.
    scope: (scopes.length > 0 ? scopes : ['openid']).join(' '),
  }).toString();
  const back = await person.go(address, REDIRECT);
  if (back.searchParams.get('state') !== state) throw new Error('another state came back');
  const code = back.searchParams.get('code');
  if (code === null) throw new Error(`no code came back: ${back.search}`);
  const tokens = await json(server.token_endpoint, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      client_id: client.client_id,
      redirect_uri: REDIRECT,
      code_verifier: verifier,
      resource,
    }).toString(),
  });
  return tokens.access_token;
}

/** RFC 8414 §3.1: the well-known part comes before the issuer's path. OpenID Connect appends it. */
async function serverMetadata(issuer) {
  const { origin, pathname } = new URL(issuer);
  const path = pathname === '/' ? '' : pathname.replace(/\/$/, '');
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
  for (const place of places) {
    const answer = await send(place);
    if (answer.status === 200) return JSON.parse(answer.text);
  }
  throw new Error(`no metadata at ${places.join(' or ')}`);
}

async function json(address, sent) {
  const answer = await send(address, sent);
  if (answer.status < 200 || answer.status > 299)
    throw new Error(`${address}: ${answer.status} ${answer.text.slice(0, 300)}`);
  return JSON.parse(answer.text);
}
