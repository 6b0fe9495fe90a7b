import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { until } from '../../support/until.ts';
import { ask, endAll, rejection, relay, upstream } from '../support/relay.ts';

const HTML = { 'Content-Type': 'text/html; charset=utf-8' };
const JSON_TYPE = { 'Content-Type': 'application/json' };
const NOTIFICATION = { jsonrpc: '2.0', method: 'notifications/initialized' };
const RESPONSE = { jsonrpc: '2.0', id: 5, result: {} };
const REQUEST = { jsonrpc: '2.0', id: 7, method: 'tools/list' };
const SESSION = 'session-of-the-server';
const alice = ['X-Authenticated-User', 'alice', 'MCP-Protocol-Version', '2025-06-18'];

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server with a session, whose other answers are the test's. */
async function start(answer: Answer) {
  const url = await upstream(async (request, response) => {
    const message = JSON.parse((await text(request)) || '{}') as { method?: string; id?: number };
    if (message.method !== 'initialize') return answer(request, response);
    const result = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'test', version: '1' } };
    response.writeHead(200, { ...JSON_TYPE, 'Mcp-Session-Id': SESSION });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
  });
  const running = await relay({ servers: { one: { url } } });
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
  const opened = await ask(running.port, { headers: alice, body });
  assert.equal(opened.status, 200, opened.text);
  const session = String(opened.headers['mcp-session-id']);
  const send = (message: object | undefined, method = 'POST') =>
    ask(running.port, {
      method,
      headers: [...alice, 'Mcp-Session-Id', session],
      ...(message === undefined ? {} : { body: JSON.stringify(message) }),
    });
  return { ...running, send };
}

describe('answers that say nothing', () => {
  afterEach(endAll);

  const EMPTY: ReadonlyArray<readonly [title: string, answer: Answer, status: number]> = [
    ['202 with a type', (_request, response) => response.writeHead(202, HTML).end(), 202],
    ['204 with a type', (_request, response) => response.writeHead(204, HTML).end(), 204],
    [
      '200 with Content-Length: 0',
      (_request, response) => response.writeHead(200, { ...HTML, 'Content-Length': '0' }).end(),
      202,
    ],
    ['200 and a page', (_request, response) => response.writeHead(200, HTML).end('<p>OK</p>'), 202],
    ['202 and a page', (_request, response) => response.writeHead(202, HTML).end('Accepted'), 202],
    [
      '200 and a text',
      (_request, response) => response.writeHead(200, { 'Content-Type': 'text/plain' }).end('ok'),
      202,
    ],
    ['200 null', (_request, response) => response.writeHead(200, JSON_TYPE).end('null'), 202],
    [
      '200 null, in pieces and with space',
      (_request, response) => {
        response.writeHead(200, JSON_TYPE).write(' nu');
        setTimeout(() => response.end('ll\n'), 20);
      },
      202,
    ],
    ['200 and an empty body of JSON', (_request, response) => response.writeHead(200, JSON_TYPE).end(), 202],
    ['201 null', (_request, response) => response.writeHead(201, JSON_TYPE).end('null'), 201],
  ];
  for (const [title, answer, status] of EMPTY)
    for (const [what, message] of [
      ['a notification', NOTIFICATION],
      ['a response of the client', RESPONSE],
    ] as const)
      it(`are no page and no message: ${title}, to ${what}`, async () => {
        const { send, logs } = await start(answer);
        const { status: answered, text: body, headers } = await send(message);
        assert.deepEqual([answered, body], [status, '']);
        assert.equal(headers['content-type'], undefined);
        assert.doesNotMatch(logs.join(''), /upstream_page/);
      });

  it('end a session by DELETE, whatever their type', async () => {
    const { send } = await start((_request, response) => response.writeHead(200, HTML).end('<p>Deleted</p>'));
    const { status, text: body } = await send(undefined, 'DELETE');
    assert.deepEqual([status, body], [200, '']);
  });

  it('are handed on where nothing is in them and a request was asked', async () => {
    for (const status of [202, 204]) {
      const { send } = await start((_request, response) => response.writeHead(status, HTML).end());
      const answer = await send(REQUEST);
      assert.deepEqual([answer.status, answer.text], [status, '']);
    }
  });

  it('are not pages in the place of an answer, nor failures: those are refused as before', async () => {
    const page = await start((_request, response) => response.writeHead(200, HTML).end('<p>Welcome</p>'));
    assert.equal(
      rejection(await page.send(REQUEST)).message,
      'the MCP server answered with a page instead of a message',
    );
    const failing = await start((_request, response) => response.writeHead(500, HTML).end('<p>Sorry</p>'));
    assert.equal((await failing.send(NOTIFICATION)).status, 502);
  });

  it('are not what a server does say to a notification', async () => {
    for (const body of [
      '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}',
      '"nullify"',
      'nullx',
      `{"a":"${'x'.repeat(200_000)}"}`,
    ]) {
      const { send } = await start((_request, response) => response.writeHead(200, JSON_TYPE).end(body));
      const answer = await send(NOTIFICATION);
      assert.deepEqual([answer.status, answer.text], [200, body]);
    }
  });

  it('that never end are cut, and the client has its answer before', async () => {
    let open = 0;
    const { send } = await start((_request, response) => {
      open += 1;
      const more = setInterval(() => response.write('x'.repeat(16 * 1024)), 1);
      response.on('close', () => {
        open -= 1;
        clearInterval(more);
      });
      response.writeHead(200, HTML);
    });
    assert.equal((await send(NOTIFICATION)).status, 202);
    await until('the server is left', () => open === 0);
  });
});
