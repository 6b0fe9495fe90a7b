import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { parseConfig } from '../../src/platform/config/load.ts';
import { ConfigurationError, PosternError } from '../../src/platform/errors.ts';
import { createLogger } from '../../src/platform/log.ts';
import { startRelay } from '../../src/relay/server.ts';
import { freePorts } from '../support/free-port.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const log = createLogger('relay', 'silent', { write: () => {} });

async function listening(port = 0): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return server;
}

describe('a relay that cannot start', () => {
  let redis: RedisServer;
  let watcher: Redis;
  let taken: Server;

  before(async function () {
    this.timeout(60_000);
    redis = await startRedis(await programOrSkip(this, 'redis'));
    watcher = new Redis(redis.url);
    taken = await listening();
  });
  after(async () => {
    await new Promise((resolve) => taken?.close(resolve));
    watcher?.disconnect();
    await redis?.stop();
  });

  const connections = async () =>
    String(await watcher.call('CLIENT', 'LIST'))
      .split('\n')
      .filter(Boolean).length;
  const start = (relay: object) =>
    startRelay(parseConfig({ publicUrl: 'https://mcp.example.com', redis: { url: redis.url }, relay }), { log });

  it('gives back its ports and its connections where the second port is taken', async () => {
    const [port] = (await freePorts(1)) as [number];
    const { port: other } = taken.address() as AddressInfo;
    for (let attempt = 0; attempt < 2; attempt++)
      await assert.rejects(
        start({
          listen: `127.0.0.1:${port}`,
          internalListen: `127.0.0.1:${other}`,
          servers: { one: { command: process.execPath } },
        }),
        (error) => error instanceof PosternError && error.message.includes(String(other)),
      );
    await until('nobody but the test is connected to Redis', async () => (await connections()) === 1);
    const again = await listening(port);
    await new Promise((resolve) => again.close(resolve));
  });

  it('gives back its connections where a later part is configured wrong', async () => {
    await assert.rejects(
      start({
        listen: '127.0.0.1:0',
        internalListen: '127.0.0.1:0',
        servers: {
          one: { command: process.execPath },
          two: { url: 'https://two.example.com/mcp', tls: { caPath: '/nowhere/ca.pem' } },
        },
      }),
      ConfigurationError,
    );
    await until('nobody but the test is connected to Redis', async () => (await connections()) === 1);
  });
});
