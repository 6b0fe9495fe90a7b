import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { ask, endAll, rejection, relay, upstream } from '../support/relay.ts';
import { openWebSocket } from '../support/web-socket.ts';

const SECRET = 'very-secret-token-1';
const alice = ['X-Authenticated-User', 'alice'];
const LINE = 'an MCP server refused a request of the relay';

const INITIALIZE = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
};

/** A server that refuses everything in its own words. */
const refusing =
  (status: number, headers: Record<string, string>, body: string): RequestListener =>
  (request, response) => {
    request.resume().on('end', () => response.writeHead(status, headers).end(body));
  };

function linesOf(logs: readonly string[]): Array<{ status: number; text: string; server: string }> {
  return logs
    .join('')
    .split('\n')
    .filter((line) => line.includes(`"message":"${LINE}"`))
    .map((line) => JSON.parse(line));
}

const JSON_TYPE = { 'Content-Type': 'application/json' };
const ANSWERS = [
  ['a detail', 403, JSON_TYPE, '{"detail":"CSRF token missing"}', /^CSRF token missing$/],
  [
    'an OAuth error',
    401,
    JSON_TYPE,
    '{"error":"invalid_token","error_description":"wrong audience"}',
    /wrong audience/,
  ],
  [
    'a JSON-RPC error',
    403,
    JSON_TYPE,
    '{"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"not your tenant"}}',
    /not your tenant/,
  ],
  [
    'a page',
    403,
    { 'Content-Type': 'text/html' },
    '<html><h1>Access   denied</h1>by <b>rule</b> 7</html>',
    /^Access denied by rule 7$/,
  ],
  ['a text', 401, { 'Content-Type': 'text/plain' }, 'the key is over', /the key is over/],
  [
    'a challenge alone',
    401,
    { 'WWW-Authenticate': 'Bearer error="invalid_token", error_description="expired"' },
    '',
    /error_description="expired"/,
  ],
  ['a scheme that the secret was sent by', 401, { 'WWW-Authenticate': 'Bearer' }, '', /^Bearer$/],
  ['nothing', 403, {}, '', /^$/],
  [
    'the secret that it was sent',
    401,
    { 'Content-Type': 'text/plain' },
    `no such key: ${SECRET}, Bearer ${SECRET}`,
    /^no such key: \[redacted\], /,
  ],
  ['far too much', 403, { 'Content-Type': 'text/plain' }, 'because '.repeat(100_000), /^(because ){62}beca$/],
] as const;

describe('why an MCP server refuses', () => {
  afterEach(endAll);

  for (const [title, status, headers, body, expected] of ANSWERS)
    it(`is in the log, and not with the client: ${title}`, async () => {
      const url = await upstream(refusing(status, headers, body));
      const { port, logs } = await relay({ servers: { one: { url, credential: { bearer: { value: SECRET } } } } });
      const answer = await ask(port, { headers: alice });
      assert.equal(answer.status, 502);
      assert.match(
        rejection(answer).message,
        status === 401 ? /refused the relay's credentials/ : /refused this request/,
      );
      assert.doesNotMatch(answer.text, /CSRF|audience|tenant|rule 7|is over|expired|because/);
      await until('it is logged', () => linesOf(logs).length > 0);
      const [line] = linesOf(logs);
      assert.deepEqual([line?.server, line?.status], ['one', status]);
      assert.match(line?.text ?? '', expected);
      assert.doesNotMatch(logs.join(''), /very-secret/);
    });

  const AWKWARD = 'ab<12>cd/34+56="&78';
  for (const [title, body] of [
    ['in a page', `<p>no such key: ${AWKWARD}</p>`],
    ['in a page that writes it as HTML', '<p>no such key: ab&lt;12&gt;cd/34+56=&quot;&amp;78</p>'],
    [
      'in a page that writes it as HTML by numbers',
      '<p>no such key: ab&#60;12&#x3E;cd&#x2F;34&#43;56&#61;&#34;&#38;78</p>',
    ],
    ['in JSON', JSON.stringify({ error: { data: 1, message: `no such key: ${AWKWARD}` } })],
    ['in a list of JSON', JSON.stringify([`no such key: ${AWKWARD}`])],
    [
      'in JSON that is cut off',
      `{"message":"no such key: ab<12>cd\\/34\\u002B56=\\"\\u0026781","trace":"${'x'.repeat(5000)}`,
    ],
    ['in an address', `no such key: ?key=${encodeURIComponent(AWKWARD)}`],
    ['at the end of what is read', `${'<br>'.repeat(1015)}no such key: ${AWKWARD.repeat(3)}`],
  ] as const)
    it(`is in the log without the secret that was sent: ${title}`, async () => {
      const url = await upstream(refusing(403, { 'Content-Type': 'text/plain' }, body));
      const credential = { header: { name: 'X-Api-Key', value: { value: AWKWARD } } };
      const { port, logs } = await relay({ servers: { one: { url, credential } } });
      await ask(port, { headers: alice });
      await until('it is logged', () => linesOf(logs).length > 0);
      const [line] = linesOf(logs);
      assert.match(line?.text ?? '', /no such key: /);
      assert.doesNotMatch(line?.text ?? '', /ab ?(<|&|%3C| )?|12|34|56|78/);
    });

  for (const [transport, settings] of [
    ['http+sse', { transport: 'http-sse' }],
    ['websocket', { transport: 'websocket' }],
    ['streamable HTTP, of the modern era', { era: 'modern' }],
    ['streamable HTTP, of the sessions’ era', { era: 'legacy' }],
  ] as const)
    it(`is in the log over ${transport}`, async () => {
      const url = (await upstream(refusing(403, JSON_TYPE, `{"message":"not from here: ${SECRET}"}`))).replace(
        'http:',
        transport === 'websocket' ? 'ws:' : 'http:',
      );
      const credential = { header: { name: 'X-Api-Key', value: { value: SECRET } } };
      const { port, logs } = await relay({ servers: { one: { url, ...settings, credential } } });
      const client = await openWebSocket(port);
      const refused = await client.answerTo(client.request('initialize', INITIALIZE));
      assert.ok(refused.error !== undefined);
      await until('it is logged', () => linesOf(logs).length > 0);
      assert.match(linesOf(logs)[0]?.text ?? '', /^not from here: \[redacted\]$/);
      assert.doesNotMatch(logs.join(''), /very-secret/);
    });

  it('is logged once a minute for each status, and the request to a server that never ends its refusal is ended', async () => {
    let open = 0;
    let status = 403;
    const url = await upstream((request, response) => {
      open += 1;
      response.on('close', () => {
        open -= 1;
      });
      request.resume().on('end', () => response.writeHead(status, { 'Content-Type': 'text/plain' }).write('because'));
    });
    const clock = { shift: 0 };
    const { port, logs } = await relay({ servers: { one: { url } } }, { now: () => Date.now() + clock.shift });
    for (let at = 0; at < 3; at++) assert.equal((await ask(port, { headers: alice })).status, 502);
    await until('nothing is open', () => open === 0);
    assert.equal(linesOf(logs).length, 1);
    status = 401;
    await ask(port, { headers: alice });
    await until('the other status is logged', () => linesOf(logs).length === 2);
    clock.shift = 61_000;
    await ask(port, { headers: alice });
    await until('it is logged again', () => linesOf(logs).length === 3);
    await wait(10);
  });
});
