import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import Koa from 'koa';
import { createHttpServer, drain, listen } from '../../src/platform/http.ts';
import { readForm } from '../../src/platform/pages/form.ts';

const LIMITS = { maxHeaderSize: 4096, requestTimeout: 5_000 };

/** Ways to answer before a request is read, each on a connection that a proxy goes on using for somebody else. */
const READERS: Readonly<Record<string, RequestListener>> = {
  'a form that is too large': new Koa()
    .use(async (ctx) => {
      await readForm(ctx).catch((error: { status: number }) => {
        ctx.status = error.status;
        ctx.body = 'no';
      });
    })
    .callback(),
  'a reader that pauses': (request, response) => {
    request.once('data', () => {
      request.pause();
      response.end('no');
    });
  },
  'a reader that leaves its iterator': async (request, response) => {
    for await (const _chunk of request.iterator({ destroyOnReturn: false })) break;
    response.end('no');
  },
  'nobody who reads': (_request, response) => void response.end('no'),
};

describe('a request whose answer comes before it is read', () => {
  for (const [what, reader] of Object.entries(READERS))
    for (const bytes of [100_000, 300_000, 3_000_000])
      it(`keeps no next one on its connection waiting: ${what}, ${bytes} bytes`, async () => {
        const server = createHttpServer(LIMITS, (request, response) =>
          request.method === 'GET' ? response.end('next') : reader(request, response),
        );
        await listen(server, { host: '127.0.0.1', port: 0 });
        const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
        let seen = '';
        socket.on('data', (chunk) => {
          seen += chunk;
        });
        socket.on('error', () => {});
        socket.write(
          `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${bytes}\r\n\r\n`,
        );
        socket.write('a'.repeat(bytes));
        socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
        await once(socket, 'close');
        assert.match(seen, /^HTTP\/1\.1 \d+ .*no.*HTTP\/1\.1 200 OK.*next$/s, seen);
        await drain(server, 0);
      });
});
