import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, CALL, ECHO, endAll, onEnd, rejection, relay, upstream } from '../support/relay.ts';
import { openWebSocket } from '../support/web-socket.ts';

const SECRET = 'very-secret-token-1';
const NEXT = 'very-secret-token-2';
const alice = ['X-Authenticated-User', 'alice'];

async function secretFile(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-secret-'));
  onEnd(() => rm(folder, { recursive: true }));
  const path = join(folder, 'secret');
  await writeFile(path, text);
  return path;
}

/** A server that takes one token, which the test can change. */
async function demanding(token: string) {
  const server = { token, asked: 0, url: '' };
  server.url = await upstream((request, response) => {
    server.asked += 1;
    if (request.headers.authorization === `Bearer ${server.token}`) return ECHO(request, response);
    request.resume();
    response.writeHead(401, { 'WWW-Authenticate': 'Bearer resource_metadata="https://evil.example"' }).end();
  });
  return server;
}

describe('static credentials', () => {
  afterEach(endAll);

  for (const [title, credential, name, expected] of [
    ['a bearer token', { bearer: { value: SECRET } }, 'authorization', `Bearer ${SECRET}`],
    ['a token of the environment', { bearer: { env: 'TOKEN' } }, 'authorization', 'Bearer from-env'],
    [
      'user and password',
      { basic: { user: 'us', password: { value: 'pä'.slice(0, 1) } } },
      'authorization',
      'Basic dXM6cA==',
    ],
    ['any header', { header: { name: 'X-Api-Key', value: { value: SECRET } } }, 'x-api-key', SECRET],
  ] as const)
    it(`are sent: ${title}, whatever the client sends under that name`, async () => {
      const url = await upstream(ECHO);
      const passthrough = { enabled: true, headers: ['X-Api-Key', 'Authorization'], allowSensitive: ['Authorization'] };
      const { port } = await relay(
        { servers: { one: { url, credential } }, passthrough },
        { env: { TOKEN: 'from-env' } },
      );
      const sent = [...alice, 'Authorization', 'Bearer mine', 'X-Api-Key', 'mine'];
      assert.equal(JSON.parse((await ask(port, { headers: sent })).text).result.headers[name], expected);
    });

  it('follow their file: at a 401 at once, and the request is sent again as it was', async () => {
    const path = await secretFile(`${SECRET}\n`);
    const server = await demanding(SECRET);
    const { port, logs } = await relay({ servers: { one: { url: server.url, credential: { bearer: { path } } } } });
    assert.equal((await ask(port, { headers: alice })).status, 200);
    server.token = NEXT;
    await writeFile(path, NEXT);
    const answer = await ask(port, { headers: alice });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(JSON.parse(answer.text).result.headers['content-length'], String(CALL.length));
    const client = await openWebSocket(port);
    server.token = SECRET;
    await writeFile(path, `${SECRET}\n\n`.trimEnd());
    client.request('ping');
    assert.ok(await client.find((message) => message.result !== undefined));
    assert.doesNotMatch(logs.join(''), /very-secret/);
  });

  it('that are refused and did not change are a clear error, asked once, without the challenge of the server', async () => {
    const server = await demanding(NEXT);
    const { port, logs } = await relay({
      servers: { one: { url: server.url, credential: { bearer: { path: await secretFile(SECRET) } } } },
    });
    const answer = await ask(port, { headers: alice });
    assert.equal(answer.status, 502);
    assert.equal(answer.headers['www-authenticate'], undefined);
    assert.match(rejection(answer).message, /refused the relay's credentials/);
    assert.equal(server.asked, 1);
    const client = await openWebSocket(port);
    const refused = await client.answerTo(client.request('ping'));
    assert.match((refused.error as { message: string }).message, /refused the relay's credentials/);
    assert.doesNotMatch(logs.join(''), /very-secret/);
  });

  it('stay as they were where the changed file is no secret', async () => {
    const path = await secretFile(SECRET);
    const server = await demanding(NEXT);
    const { port, logs } = await relay({ servers: { one: { url: server.url, credential: { bearer: { path } } } } });
    await writeFile(path, `${NEXT}\r\nX-Injected: yes`);
    assert.equal((await ask(port, { headers: alice })).status, 502);
    assert.match(logs.join(''), /the changed file of relay.servers.one.credential.bearer.path cannot be used/);
    assert.doesNotMatch(logs.join(''), /very-secret/);
  });

  it('that are missing or no header value end the start, unseen', async () => {
    const start = (credential: object, env = {}) =>
      relay({ servers: { one: { url: 'http://127.0.0.1:1/mcp', credential } } }, { env });
    await assert.rejects(start({ bearer: { env: 'NONE' } }), /credential.bearer.env: the variable NONE is not set/);
    await assert.rejects(
      start({ bearer: { path: '/nowhere/at/all' } }),
      /bearer.path: \/nowhere\/at\/all cannot be read \(ENOENT\)/,
    );
    const injected = { header: { name: 'X-Key', value: { value: 'very-secret\r\nX-Injected: yes' } } };
    await assert.rejects(
      start(injected),
      (error: Error) => /one line/.test(error.message) && !/very-secret/.test(error.message),
    );
    await assert.rejects(
      start({ bearer: { value: 'a' }, header: { name: 'X', value: { value: 'b' } } }),
      /exactly one kind/,
    );
    await assert.rejects(start({ bearer: { value: 'a', env: 'B' } }), /exactly one of value, env and path/);
  });
});
