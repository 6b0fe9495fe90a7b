import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Cluster, Redis } from 'ioredis';
import { redisSchema } from '../../src/platform/config/redis-schema.ts';
import { readTarget } from '../../src/stores/redis/connection-options.ts';
import { until } from '../support/until.ts';

describe('connections to Redis', () => {
  let server: Server;
  let port = 0;
  // Ends each handshake with the alert "decode error".
  const alert = Buffer.from('15030300020232', 'hex');

  before(async () => {
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(alert));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => {
    server.close();
  });

  async function afterItsEnd(client: Redis): Promise<Socket> {
    client.on('error', () => {});
    await until('the socket is destroyed', () => client.stream?.destroyed === true);
    const stream = client.stream as Socket;
    await new Promise(setImmediate);
    return stream;
  }

  it('live through a second error of one socket: one server', async () => {
    const target = await readTarget(redisSchema.parse({ url: `rediss://127.0.0.1:${port}` }));
    const client = new Redis({ ...target.common, ...target.server });
    const stream = await afterItsEnd(client);
    assert.doesNotThrow(() => stream.emit('error', new Error('a late alert')));
    client.disconnect();
  });

  it('live through a second error of one socket: the nodes of a cluster', async () => {
    const target = await readTarget(
      redisSchema.parse({ cluster: { nodes: [`127.0.0.1:${port}`] }, tls: { enabled: true } }),
    );
    const cluster = new Cluster([...(target.cluster ?? [])], {
      redisOptions: { ...target.common, lazyConnect: true },
      clusterRetryStrategy: () => 10,
    });
    cluster.on('error', () => {});
    const [node] = (await once(cluster, '+node')) as [Redis];
    node.connect().catch(() => {});
    const stream = await afterItsEnd(node);
    assert.doesNotThrow(() => stream.emit('error', new Error('a late alert')));
    cluster.disconnect();
  });

  it('live through a second error of one socket: Sentinel', async () => {
    const target = await readTarget(
      redisSchema.parse({
        sentinel: { master: 'main', nodes: [`127.0.0.1:${port}`], tls: true },
        tls: { enabled: true },
      }),
    );
    const client = new Redis({ ...target.common, ...target.server, lazyConnect: true });
    client.on('error', () => {});
    // What the client asks the Sentinels with, each time anew.
    const connector = (client as unknown as { connector: { connectToSentinel(address: object): Redis } }).connector;
    const sentinel = connector.connectToSentinel({ host: '127.0.0.1', port });
    const stream = await afterItsEnd(sentinel);
    assert.doesNotThrow(() => stream.emit('error', new Error('a late alert')));
    sentinel.disconnect();
    client.disconnect();
  });
});
