import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener, Server } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, it } from 'mocha';
import { createHttpServer, listen } from '../../src/platform/http.ts';

let server: Server | undefined;

async function answerTo(text: string, listener: RequestListener): Promise<string> {
  server = createHttpServer({ maxHeaderSize: 16_384, requestTimeout: 300 }, listener);
  const port = await listen(server, { host: '127.0.0.1', port: 0 });
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  let received = '';
  socket.on('data', (chunk) => {
    received += String(chunk);
  });
  socket.write(text);
  await once(socket, 'close');
  return received;
}

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n';

describe('a request that does not arrive in its time', function () {
  this.timeout(15_000);
  afterEach(() => server?.close());

  for (const [what, text] of [
    ['a body', `${HEAD}\r\nabc`],
    ['headers', HEAD],
    ['a first line', 'POST / HT'],
    ['chunks', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
  ] as const)
    it(`is answered 408 soon after: ${what}`, async () => {
      const received = await answerTo(text, (request) => request.resume());
      assert.match(received, /^HTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n/);
    });

  it('has its connection cut where the answer has begun', async () => {
    const received = await answerTo(`${HEAD}\r\nabc`, (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/plain' });
      response.write('begun');
    });
    assert.match(received, /^HTTP\/1\.1 200 /);
    assert.doesNotMatch(received, /408/);
  });
});
