import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startedWith } from '../../src/cli/health.ts';
import { main } from '../../src/cli/main.ts';

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
});
