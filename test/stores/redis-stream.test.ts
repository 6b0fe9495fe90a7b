import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { openAuditLog } from '../../src/platform/audit/open-audit-log.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import { createLogger } from '../../src/platform/log.ts';
import { createAuditMetrics } from '../../src/platform/metrics.ts';
import type { Stores } from '../../src/stores/stores.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { open } from './open.ts';

describe('the audit log in a Redis stream', () => {
  let server: RedisServer;
  let stores: Stores;
  let client: Redis;

  before(async function () {
    this.timeout(200_000);
    server = await startRedis(await programOrSkip(this, 'redis'));
    stores = await open({ url: server.url, timeout: '400ms' });
    client = new Redis(server.url);
  });
  after(async () => {
    client?.disconnect();
    await stores?.close();
    await server?.stop();
  });

  async function openLog(settings: object) {
    const { audit } = parseConfig({ redis: { url: server.url }, audit: settings });
    const metrics = createAuditMetrics(new Registry());
    const log = createLogger('test', 'silent');
    const opened = await openAuditLog(audit, { process: 'relay', log, now: Date.now, metrics, stream: stores.stream });
    assert.ok(opened);
    return { audit: opened, dropped: async () => (await metrics.dropped.get()).values[0]?.value ?? 0 };
  }
  const write = (audit: Awaited<ReturnType<typeof openLog>>['audit'], count: number) => {
    for (let user = 0; user < count; user++)
      audit.record({ event: 'decision', outcome: 'allow', identity: { issuer: '', subject: `u${user}` } });
  };
  const key = async (name: string) => (await client.keys(`*${name}:relay`))[0] as string;

  it('keeps the newest lines, in order', async () => {
    const { audit } = await openLog({ redis: { stream: 'bounded', maxLength: 50 } });
    write(audit, 1000);
    await audit.close(10_000);
    const entries = await client.xrange(await key('bounded'), '-', '+');
    assert.ok(entries.length >= 50 && entries.length < 400, String(entries.length));
    assert.match(entries.at(-1)?.[1][1] as string, /"user":"u999"/);
  });

  it('drops and counts while Redis stands still, and says so in the stream when it is back', async () => {
    const { audit, dropped } = await openLog({ redis: { stream: 'slow' }, maxQueue: 5 });
    await server.pause();
    write(audit, 20);
    assert.equal(await dropped(), 15);
    await server.resume();
    const last = async () => (await client.xrevrange(await key('slow'), '+', '-', 'COUNT', 1))[0]?.[1][1] ?? '';
    await until(
      'the stream says what is missing',
      async () => (await client.keys('*slow:relay')).length > 0 && /15 lines were dropped/.test(await last()),
    );
    await audit.close(5_000);
  });

  it('is refused where there is no Redis', () => {
    assert.throws(() => parseConfig({ audit: { redis: {} } }), /audit\.redis: needs `redis`/);
  });
});
