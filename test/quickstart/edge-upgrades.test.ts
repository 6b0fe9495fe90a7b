import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { IDENTITY_HEADER_NAMES } from '../../src/identity/headers.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import { createLogger } from '../../src/platform/log.ts';
import { openBranding } from '../../src/platform/pages/branding.ts';
import { PageSite } from '../../src/platform/pages/page.ts';
import { startEdge } from '../../src/quickstart/edge.ts';
import { endAll, onEnd, relay } from '../relay/support/relay.ts';
import { scriptedServer } from '../relay/support/scripted-server.ts';
import { handshake, RawClient } from '../relay/support/web-socket.ts';

const PAGES = new PageSite('/_postern/assets', openBranding(parseConfig({}).auth.pages));
const SECRET = 'the secret that edge and relay share';

/** Edge and relay as in `postern up`, with a forward-auth that answers as the test says. */
async function start(answer: RequestListener) {
  const questions: IncomingMessage[] = [];
  const auth = createServer((request, response) => {
    questions.push(request);
    answer(request, response);
  });
  await once(auth.listen(0, '127.0.0.1'), 'listening');
  onEnd(() => {
    auth.closeAllConnections();
    auth.close();
  });
  const { url, seen } = await scriptedServer();
  const behind = await relay({ servers: { one: { url } }, trust: { secret: SECRET } });
  const log = createLogger('edge', 'silent');
  const proof = { secretHeader: 'X-Postern-Proxy-Secret', secret: SECRET };
  const edge = await startEdge({ host: '127.0.0.1', port: 0 }, proof, { site: PAGES, log });
  onEnd(() => edge.close(50));
  const targets = { forwardAuthPort: (auth.address() as AddressInfo).port, relayPort: behind.port };
  return { edge, behind, seen, questions, targets, auth };
}

const allow =
  (user: string): RequestListener =>
  (_request, response) => {
    for (const name of IDENTITY_HEADER_NAMES) response.setHeader(name, '');
    response.setHeader('X-Authenticated-User', user).setHeader('X-Authenticated-Method', 'bearer').end();
  };

describe('WebSocket upgrades through the edge of postern up', () => {
  afterEach(endAll);

  it('are checked like any other request and carry the identity that forward-auth named', async () => {
    const { edge, behind, targets, questions, seen } = await start(allow('alice'));
    edge.connect(targets);
    const socket = new WebSocket(`ws://127.0.0.1:${edge.port}/servers/one/ws`, 'mcp', {
      headers: {
        Authorization: 'Bearer of-alice',
        'X-Authenticated-User': 'root',
        X_Authenticated_User: 'root',
        'X-Postern-Proxy-Secret': 'guessed',
        'X-Forwarded-Uri': '/public',
      },
    });
    const client = new RawClient(socket);
    await once(socket, 'open');
    await client.initialize();
    assert.equal(seen.length > 0, true);
    const opened = behind.logs
      .join('')
      .split('\n')
      .find((line) => line.includes('"transport":"websocket"'));
    assert.equal(JSON.parse(opened ?? '{}').user, 'alice');
    const [question] = questions;
    assert.equal(question?.headers['x-forwarded-uri'], '/servers/one/ws');
    assert.equal(question?.headers['x-forwarded-method'], 'GET');
    assert.equal(question?.headers.authorization, 'Bearer of-alice');
    assert.equal(question?.headers['x-authenticated-user'], undefined);
    const closing = edge.close(50);
    assert.equal((await client.closed)[0], 1006);
    await closing;
  });

  it('are answered with what forward-auth says where that is no', async () => {
    const { edge, targets, behind } = await start((_request, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Bearer resource_metadata="x"' }).end('{"error":"who?"}');
    });
    edge.connect(targets);
    const answer = await handshake(edge.port, ['X-Authenticated-User', 'root']);
    assert.equal(answer.status, 401);
    assert.equal(answer.headers['www-authenticate'], 'Bearer resource_metadata="x"');
    assert.equal(answer.text, '{"error":"who?"}');
    assert.doesNotMatch(await behind.metrics(), /open_streams\{transport="websocket"\}/);
  });

  it('are refused while forward-auth is not there, and where it dies', async () => {
    const { edge, targets, auth } = await start((request) => request.socket.destroy());
    assert.equal((await handshake(edge.port, [])).status, 503);
    edge.connect(targets);
    assert.equal((await handshake(edge.port, [])).status, 503);
    auth.close();
    assert.equal((await handshake(edge.port, [])).status, 503);
  });

  it("pass the relay's refusals on, and end where it cannot be reached", async () => {
    const { edge, targets, behind } = await start(allow('alice'));
    edge.connect(targets);
    assert.equal((await handshake(edge.port, [], { path: '/servers/none/ws' })).status, 404);
    assert.equal((await handshake(edge.port, [], { protocol: '' })).status, 400);
    await behind.close();
    await assert.rejects(handshake(edge.port, []), /socket hang up|ECONNRESET/);
  });
});
