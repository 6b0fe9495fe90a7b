import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { afterEach, describe, it } from 'mocha';
import { scratchFolder } from '../../hostile/support/scratch-folder.ts';
import { freePorts } from '../../support/free-port.ts';
import { programOrSkip } from '../../support/programs.ts';
import { until } from '../../support/until.ts';
import { ask, endAll, onEnd, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';

const MIB = 1024 * 1024;
const CHUNK = 'x'.repeat(64 * 1024);

interface Upload {
  readonly head: string;
  readonly bytes: number;
  readonly chunked: boolean;
}

/** Writes the whole body before it reads a byte, as many clients do. @returns the answer, and what went wrong with writing */
async function upload(port: number, { head, bytes, chunked }: Upload) {
  const socket = connect(port, '127.0.0.1');
  onEnd(() => socket.destroy());
  socket.pause();
  let failed: NodeJS.ErrnoException | undefined;
  socket.on('error', (error) => {
    failed = error;
  });
  await once(socket, 'connect');
  socket.write(`${head}${chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes}`}\r\n\r\n`);
  for (let sent = 0; sent < bytes && failed === undefined; sent += CHUNK.length) {
    const piece = chunked ? `${CHUNK.length.toString(16)}\r\n${CHUNK}\r\n` : CHUNK.slice(0, bytes - sent);
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
  }
  if (chunked) socket.write('0\r\n\r\n');
  let answer = '';
  socket.on('data', (piece: Buffer) => {
    answer += piece;
  });
  socket.resume();
  await until('there is an answer', () => /\r\n\r\n.*\}$/s.test(answer) || failed !== undefined || socket.closed);
  return { answer, failed: failed?.code };
}

const head = (path: string, ...fields: string[]) =>
  [`POST ${path} HTTP/1.1`, 'Host: mcp.example.com', 'Content-Type: application/json', ...fields, ''].join('\r\n');

const ALICE = 'X-Authenticated-User: alice';
const TOKEN = 'operator-token-of-the-early-answers-test';

/** A refusal that is given while the body arrives: where, and by what. */
const REFUSALS: Readonly<Record<string, { head: string; status: number; internal?: true }>> = {
  'a body that is too large': { head: head('/servers/one/mcp', ALICE), status: 413 },
  'a body that is too large, of an operator': {
    head: head('/pins/approve', `Authorization: Bearer ${TOKEN}`),
    status: 413,
    internal: true,
  },
  'no address of anything': { head: head('/nowhere'), status: 404 },
  'a wrong type': { head: head('/servers/one/mcp', ALICE).replace('application/json', 'text/plain'), status: 415 },
  'too many header fields': {
    head: head('/servers/one/mcp', ...Array.from({ length: 320 }, (_, at) => `X-${at}: y`)),
    status: 431,
  },
};

describe('an answer that comes before the body of its request', function () {
  this.timeout(60_000);
  afterEach(endAll);

  async function start(more: object = {}) {
    const { url } = await scriptedServer();
    return relay({ servers: { one: { url, era: 'both' } }, operatorToken: TOKEN, ...more });
  }

  for (const [why, { head: first, status, internal = false }] of Object.entries(REFUSALS))
    for (const chunked of [false, true])
      it(`${why}: reaches a client that writes all before it reads (${chunked ? 'chunked' : 'with a length'})`, async () => {
        const running = await start();
        const port = internal ? running.internalPort : running.port;
        const { answer, failed } = await upload(port, { head: first, bytes: 16 * MIB, chunked });
        assert.equal(failed, undefined);
        assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
        assert.equal((await ask(running.port, { headers: ['X-Authenticated-User', 'bob'] })).status, 200);
      });

  it('a budget that is spent by the body itself', async () => {
    const running = await start({ budgets: { identity: { maxRequestBytes: '64KiB' } } });
    for (const chunked of [false, true]) {
      const { answer, failed } = await upload(running.port, {
        head: head('/servers/one/mcp', ALICE),
        bytes: 3 * MIB,
        chunked,
      });
      assert.deepEqual([failed, answer.split('\r\n')[0]], [undefined, 'HTTP/1.1 429 Too Many Requests']);
    }
    await until('nothing is held', async () =>
      /budget_held_bytes\{budget="requestBytes"\} 0/.test(await running.metrics()),
    );
  });

  it('is the end of a connection whose body has no end', async () => {
    const running = await start();
    const first = head('/servers/one/mcp', ALICE);
    const { answer, failed } = await upload(running.port, { head: first, bytes: 128 * MIB, chunked: true });
    assert.ok(failed !== undefined || answer.startsWith('HTTP/1.1 413 '), answer);
    const quiet = connect(running.port, '127.0.0.1', () => quiet.write(`${first}Content-Length: 9999999\r\n\r\nx`));
    quiet.resume();
    await once(quiet, 'close');
  });

  it('reaches a client behind nginx that passes bodies on as they come', async function () {
    const program = await programOrSkip(this, 'nginx');
    if (program.kind !== 'binary') this.skip();
    const running = await start();
    const [port] = await freePorts(1);
    const folder = await scratchFolder();
    await writeFile(
      `${folder.path}/nginx.conf`,
      `daemon off; pid nginx.pid; events {} http { client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
       uwsgi_temp_path u; scgi_temp_path s; access_log off; client_max_body_size 0; server { listen 127.0.0.1:${port};
       location / { proxy_pass http://127.0.0.1:${running.port}; proxy_http_version 1.1; proxy_request_buffering off;
       proxy_set_header X-Authenticated-User alice; proxy_set_header Connection ""; } } }`,
    );
    const child = spawn(program.path, ['-p', folder.path, '-e', 'stderr', '-c', 'nginx.conf'], { stdio: 'ignore' });
    onEnd(async () => {
      if (child.exitCode === null) await Promise.all([once(child, 'exit'), child.kill('SIGTERM')]);
      await folder.remove();
    });
    await until('nginx listens', () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      ),
    );
    for (const chunked of [false, true]) {
      const { answer, failed } = await upload(port as number, {
        head: head('/servers/one/mcp'),
        bytes: 16 * MIB,
        chunked,
      });
      assert.deepEqual([failed, answer.split(' ')[1]], [undefined, '413'], `chunked: ${chunked}`);
    }
  });

  it('reaches a client behind Traefik, however often', async function () {
    this.timeout(240_000);
    const program = await programOrSkip(this, 'traefik');
    if (program.kind !== 'binary') this.skip();
    const running = await start();
    const [port] = await freePorts(1);
    const folder = await scratchFolder();
    await writeFile(
      `${folder.path}/traefik.yaml`,
      `entryPoints: {web: {address: "127.0.0.1:${port}"}}\nproviders: {file: {filename: ${folder.path}/routes.yaml}}\n`,
    );
    await writeFile(
      `${folder.path}/routes.yaml`,
      `http:
  routers: {one: {rule: "PathPrefix(\`/\`)", service: relay, middlewares: [alice]}}
  middlewares: {alice: {headers: {customRequestHeaders: {X-Authenticated-User: alice}}}}
  services: {relay: {loadBalancer: {servers: [{url: "http://127.0.0.1:${running.port}"}]}}}\n`,
    );
    const child = spawn(program.path, [`--configFile=${folder.path}/traefik.yaml`], { stdio: 'ignore' });
    onEnd(async () => {
      if (child.exitCode === null) await Promise.all([once(child, 'exit'), child.kill('SIGTERM')]);
      await folder.remove();
    });
    const path = '/servers/one/mcp';
    await until('Traefik routes', () =>
      fetch(`http://127.0.0.1:${port}${path}`, { method: 'OPTIONS' }).then(
        ({ status }) => status === 204,
        () => false,
      ),
    );
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'x'.repeat(10 * MIB) },
    });
    const asClient = async (chunked: boolean) => {
      const sent = chunked ? new Blob([body]).stream() : body;
      const headers = { 'Content-Type': 'application/json' };
      const options = { method: 'POST', headers, body: sent, duplex: 'half' };
      return (await fetch(`http://127.0.0.1:${port}${path}`, options as RequestInit)).status;
    };
    const seen: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      const chunked = round % 2 === 0;
      const { answer, failed } = await upload(port as number, { head: head(path), bytes: 10 * MIB, chunked });
      seen.push(failed ?? (answer.split(' ')[1] as string));
      if (round % 5 < 2) seen.push(await asClient(chunked).then(String, (error: Error) => String(error.cause)));
    }
    assert.deepEqual(
      seen.filter((status) => status !== '413'),
      [],
    );
  });
});
