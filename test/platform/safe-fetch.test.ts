import assert from 'node:assert/strict';
import type { lookup } from 'node:dns';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { createSafeFetch, FetchRefused, type SafeFetchOptions } from '../../src/platform/safe-fetch.ts';

const cleanups: Array<() => unknown> = [];

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function open(options: SafeFetchOptions) {
  const fetcher = createSafeFetch(options);
  cleanups.push(() => fetcher.close());
  return fetcher;
}

function resolverOf(...addresses: Array<{ address: string; family: 4 | 6 }>) {
  const asked: string[] = [];
  const resolver = ((host: string, _options: object, done: (error: null, found: typeof addresses) => void) => {
    asked.push(host);
    done(null, addresses);
  }) as unknown as typeof lookup;
  return { resolver, asked };
}

/** What refused it, through undici's own error. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof FetchRefused) return at.message;
    return `another error: ${String(error)}`;
  }
  return 'answered';
}

describe('safe fetch', () => {
  afterEach(async () => {
    while (cleanups.length > 0) await cleanups.pop()?.();
  });

  for (const host of [
    ...['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '10.1.2.3', '192.168.0.1', '172.16.0.1', '169.254.169.254'],
    ...['0.0.0.0', '100.64.0.1', '[::1]', '[::]', '[fd00::1]', '[fe80::1]', '[::ffff:10.0.0.1]', '[64:ff9b::a00:1]'],
  ])
    it(`asks nobody at ${host}`, async () => {
      assert.match(await refusal(open({})(`https://${host}/x`)), /address is not public/);
    });

  it('asks nobody without TLS, and nobody by a name with a user', async () => {
    assert.match(await refusal(open({})('http://example.com/')), /only https/);
    assert.match(await refusal(open({})('https://me:pw@example.com/')), /names a user/);
  });

  for (const addresses of [
    [{ address: '127.0.0.1', family: 4 as const }],
    [
      { address: '93.184.215.14', family: 4 as const },
      { address: '10.0.0.1', family: 4 as const },
    ],
    [{ address: '::1', family: 6 as const }],
    [],
  ])
    it(`connects to no name that leads inside: ${addresses.map(({ address }) => address).join(' ') || 'nowhere'}`, async () => {
      const { resolver, asked } = resolverOf(...addresses);
      assert.match(await refusal(open({ resolver })('https://rebinding.example/')), /address is not public/);
      assert.deepEqual(asked, ['rebinding.example'], 'resolved once, by the socket itself');
    });

  it('connects where the configuration allows the range, to the address that was checked', async () => {
    let connected = false;
    const plain = await serve(() => {});
    const { port } = new URL(plain);
    const { resolver } = resolverOf({ address: '127.0.0.1', family: 4 });
    const said = await refusal(
      open({ resolver, allowedRanges: ['127.0.0.0/8'] })(`https://inside.example:${port}/`).catch((error: Error) => {
        // Plain HTTP on the other side: the connection stood, and TLS failed on it.
        connected = /SSL|TLS|packet length|wrong version/i.test(String((error.cause as Error | undefined)?.message));
        throw error;
      }),
    );
    assert.ok(connected, said);
  });

  it('asks a configured origin as it is, and only that one', async () => {
    const origin = await serve((_request, response) => response.end('{"a":1}'));
    const other = await serve((_request, response) => response.end('{}'));
    const fetcher = open({ allowedOrigins: [`${origin}/ignored/path`] });
    assert.deepEqual(await (await fetcher(`${origin}/x`)).json(), { a: 1 });
    assert.match(await refusal(fetcher(`${other}/x`)), /only https/);
  });

  it('follows no redirect, even from a configured origin', async () => {
    let reached = false;
    const inside = await serve((_request, response) => {
      reached = true;
      response.end('secret');
    });
    const origin = await serve((_request, response) => response.writeHead(302, { Location: inside }).end());
    await assert.rejects(open({ allowedOrigins: [origin] })(origin));
    assert.equal(reached, false);
  });

  it('reads no more than the limit, unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(4_000_000));
    const origin = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Encoding': 'gzip' });
      response.end(bomb);
    });
    assert.ok(bomb.length < 10_000);
    const fetcher = open({ allowedOrigins: [origin], maxBytes: 10_000 });
    assert.match(await refusal(fetcher(origin)), /answered more than 10000 bytes/);
  });

  it('waits no longer than the limit for the whole answer', async () => {
    const origin = await serve(async (_request, response) => {
      response.writeHead(200).flushHeaders();
      for (let i = 0; i < 50 && !response.destroyed; i++) {
        response.write('.');
        await wait(20);
      }
      response.end();
    });
    await assert.rejects(open({ allowedOrigins: [origin], timeout: 100 })(origin), { name: 'TimeoutError' });
  });

  it('hands over what the caller gave and what was answered', async () => {
    const origin = await serve((request, response) => {
      response.writeHead(201, { 'Content-Type': 'application/json', 'Cache-Control': 'max-age=60' });
      response.end(JSON.stringify({ method: request.method, header: request.headers['x-test'] }));
    });
    const answer = await open({ allowedOrigins: [origin] })(origin, { method: 'POST', headers: { 'X-Test': 'yes' } });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('cache-control'), 'max-age=60');
    assert.deepEqual(await answer.json(), { method: 'POST', header: 'yes' });
  });
});
