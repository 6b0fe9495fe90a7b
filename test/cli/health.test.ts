import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startedWith } from '../../src/cli/health.ts';
import { main } from '../../src/cli/main.ts';

const run = promisify(execFile);

async function health(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const written: string[] = [];
  const write = (text: string) => void written.push(text);
  const code = await main(['health', ...argv], { env, print: write, printError: write });
  return { code, text: written.join('\n') };
}

/** A listener that answers `/readyz` so, and where the configuration has each process answer. */
async function answering(status: number, body: string) {
  const server = createServer((request, response) =>
    request.url === '/readyz' ? response.writeHead(status).end(body) : response.writeHead(404).end(),
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = {
    POSTERN_AUTH_INTERNAL_LISTEN: listen,
    POSTERN_RELAY_INTERNAL_LISTEN: listen,
    POSTERN_PUBLIC_URL: 'http://127.0.0.1:8080',
  };
  return { env, listen, stop: () => server.close() };
}

describe('postern health', () => {
  for (const [status, body, code, said] of [
    [200, '{"status":"ready","dependencies":{"store":"ok"}}', 0, /^relay: ready$/],
    [
      200,
      '{"status":"ready","dependencies":{"store":"does not answer"}}',
      0,
      /^relay: ready \(store: does not answer\)$/,
    ],
    [
      503,
      '{"status":"not ready","dependencies":{"store":"does not answer","a":"ok"}}',
      1,
      /not ready \(store: does not/,
    ],
    [503, '{"status":"draining","dependencies":{}}', 1, /^relay: draining$/],
    [404, '<html>', 1, /another program answers there/],
  ] as const)
    it(`ends with ${code} where ${status} ${body} answers, and says so`, async () => {
      const process = await answering(status, body);
      try {
        const answer = await health(['relay'], process.env);
        assert.equal(answer.code, code, answer.text);
        assert.match(answer.text, said);
      } finally {
        process.stop();
      }
    });

  it('names the address of its configuration where nobody answers', async () => {
    const gone = await answering(200, '');
    gone.stop();
    const { code, text } = await health(['auth'], gone.env);
    assert.equal(code, 1, text);
    assert.match(text, new RegExp(`auth does not answer at http://${gone.listen}/readyz`));
  });

  for (const [what, text] of [
    ['is no YAML', 'relay: ['],
    ['is half written', 'publicUrl: "https://a'],
    ['is no map', '- a'],
  ] as const)
    it(`believes the process where its file ${what} just now, and says so`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'postern-health-'));
      const file = join(folder, 'postern.yaml');
      await writeFile(file, text);
      const process = await answering(200, '{"status":"ready","dependencies":{}}');
      const answer = await health(['relay', '--config', file], process.env);
      process.stop();
      assert.equal(answer.code, 0, answer.text);
      assert.match(answer.text, /^relay: ready\n/);
      assert.ok(answer.text.includes(file), answer.text);
      // And where nobody answers, the file is what is wrong.
      const without = await health(['relay', '--config', file], process.env);
      assert.notEqual(without.code, 0);
      assert.ok(without.text.includes(file), without.text);
      await rm(folder, { recursive: true });
    });

  it('wants one of the two processes', async () => {
    const { code, text } = await health(['nobody']);
    assert.equal(code, 64);
    assert.match(text, /health relay/);
  });

  for (const [words, expected] of [
    [['node', 'bin/postern.js', 'auth', '--config', '/etc/p.yaml'], { part: 'auth', file: '/etc/p.yaml' }],
    [
      ['/sbin/docker-init', '--', 'node', 'bin/postern.js', '--config', 'relay', 'auth'],
      { part: 'auth', file: 'relay' },
    ],
    [['node', '/app/bin/postern.js', 'relay', '--config=/a b'], { part: 'relay', file: '/a b' }],
    [['/usr/bin/postern', 'relay'], { part: 'relay', file: undefined }],
    [['node', 'bin/postern.js', 'up'], undefined],
    [['nginx', 'auth'], undefined],
    [[], undefined],
  ] as const)
    it(`reads what a container was started with: ${words.join(' ') || 'nothing'}`, () => {
      assert.deepEqual(startedWith(words.map((word) => `${word}\0`).join('')), expected);
    });

  for (const [text, env, expected] of [
    ['auth: { internalListen: "127.0.0.1:PORT" }\n', {}, 0],
    ['auth: { internalListen: "127.0.0.1:1" }\n', { POSTERN_AUTH_INTERNAL_LISTEN: '127.0.0.1:PORT' }, 0],
    ['auth: { internalListen: "0.0.0.0:PORT" }\nnothing: of a schema\n', { POSTERN_AUTH_INTERNAL_LISTEN: '' }, 0],
    ['auth: { internalListen: "*:PORT" }\n', {}, 78],
    ['auth: { internalListen: 9464 }\n', {}, 78],
  ] as const)
    it(`asks where ${text.trim()} with ${JSON.stringify(env)} says`, async () => {
      const process = await answering(200, '{"status":"ready","dependencies":{}}');
      const folder = await mkdtemp(join(tmpdir(), 'postern-health-'));
      try {
        const port = process.listen.split(':')[1] as string;
        await writeFile(join(folder, 'a.yaml'), text.replace('PORT', port));
        const variables = Object.entries(env).map(([name, value]) => [name, value.replace('PORT', port)]);
        const answer = await health(['auth', '--config', join(folder, 'a.yaml')], Object.fromEntries(variables));
        assert.equal(answer.code, expected, answer.text);
      } finally {
        process.stop();
        await rm(folder, { recursive: true });
      }
    });

  it('loads neither the schema nor another command, because it runs every few seconds', async () => {
    const loaded = new URL('../support/loaded-modules.mjs', import.meta.url).href;
    const entry = fileURLToPath(new URL('../../bin/postern.js', import.meta.url));
    const { stderr } = await run(process.execPath, ['--import', loaded, entry, 'health', 'auth'], {
      env: { PATH: process.env.PATH, POSTERN_AUTH_INTERNAL_LISTEN: '127.0.0.1:1' },
    }).catch((error: { stderr: string }) => error);
    assert.match(stderr, /dist\/cli\/health\.js/);
    assert.doesNotMatch(stderr, /node_modules\/zod|node_modules\/koa|dist\/cli\/doctor|config\/load\.js/);
  });

  it('says of a file that is missing on the host what an engine made of it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-health-'));
    const { code, text } = await health(['auth', '--config', folder]);
    await rm(folder, { recursive: true });
    assert.equal(code, 78, text);
    assert.match(text, /cannot be read \(EISDIR\): it is a folder/);
  });
});
