import assert from 'node:assert/strict';
import { startForwardAuth } from '../../src/forward-auth/server.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import { createLogger } from '../../src/platform/log.ts';
import { freePorts } from '../support/free-port.ts';
import { type CollectedSpan, type Collector, startCollector } from '../support/otlp-collector.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import {
  CLIENT_SECRET,
  type InteractiveProvider,
  startInteractiveProvider,
} from './login/support/interactive-provider.ts';
import { Jar } from './login/support/jar.ts';

describe('traces of forward-auth', function () {
  this.timeout(60_000);
  let redis: RedisServer | undefined;
  let collector: Collector;
  let idp: InteractiveProvider;
  let auth: Awaited<ReturnType<typeof startForwardAuth>>;
  let origin: string;

  before(async function () {
    redis = await startRedis(await programOrSkip(this, 'redis'));
    collector = await startCollector();
    const [port] = await freePorts(1);
    origin = `http://127.0.0.1:${port}`;
    idp = await startInteractiveProvider(origin);
    const config = parseConfig({
      publicUrl: origin,
      redis: { url: redis.url },
      tracing: { endpoint: collector.url },
      auth: {
        listen: `127.0.0.1:${port}`,
        internalListen: '127.0.0.1:0',
        sessions: { keys: Buffer.alloc(32, 7).toString('base64url') },
        providers: [{ id: 'idp', issuer: idp.issuer, clientId: 'postern', clientSecret: CLIENT_SECRET }],
        rules: [{ match: { path: '/app/**' }, allow: { groups: ['engineering'] } }],
      },
    });
    auth = await startForwardAuth(config, { log: createLogger('forward-auth', 'silent') });
  });
  after(async () => {
    await auth?.close();
    await idp?.stop();
    await collector?.stop();
    await redis?.stop();
  });

  const below = (span: CollectedSpan) => collector.spans.filter(({ parentSpanId }) => parentSpanId === span.spanId);

  it('show the steps of a sign-in, and what the provider and the store took of them', async () => {
    const jar = new Jar();
    const callback = await jar.until(`${origin}/_postern/sign-in?rd=/inside`, /\/_postern\/callback\?/);
    assert.equal((await jar.hop(callback)).status, 303);
    const begun = await collector.find('the beginning', ({ name }) => name === 'GET /_postern/sign-in');
    assert.equal(begun.attributes['http.response.status_code'], 302);
    const ended = await collector.find('the callback', ({ name }) => name === 'GET /_postern/callback');
    const steps = below(ended);
    const exchange = steps.find(({ name }) => name === 'POST');
    assert.equal(exchange?.kind, 'client');
    assert.equal(exchange?.attributes['url.full'], `${idp.issuer}/token`);
    assert.ok(steps.some(({ attributes }) => attributes['db.operation.name'] === 'session_create'));
    const text = JSON.stringify(collector.spans);
    for (const name of ['code', 'state']) {
      const secret = new URL(callback).searchParams.get(name);
      assert.ok(secret !== null && !text.includes(secret), name);
    }
    assert.doesNotMatch(text, /eyJ|alice|cookie/i);
  });

  it('show what a check had to ask, and for whom it did not', async () => {
    const jar = new Jar();
    const callback = await jar.until(`${origin}/_postern/sign-in?rd=/inside`, /\/_postern\/callback\?/);
    const entered = await jar.hop(callback);
    const cookie = entered.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ');
    collector.spans.length = 0;
    const ask = (headers: Record<string, string>) =>
      fetch(`${origin}/verify/traefik`, {
        headers: {
          'X-Forwarded-Method': 'GET',
          'X-Forwarded-Proto': 'http',
          'X-Forwarded-Host': new URL(origin).host,
          'X-Forwarded-Uri': '/app/page?token=in-the-query',
          ...headers,
        },
      });
    assert.equal((await ask({ Cookie: cookie })).status, 200);
    const check = await collector.find('the check', ({ name }) => name === 'GET /verify/traefik');
    assert.equal(check.attributes['postern.credential'], 'session');
    assert.equal(check.attributes['postern.request.path'], '/app/page');
    const [authenticate] = below(check);
    assert.equal(authenticate?.name, 'authenticate');
    assert.ok(!JSON.stringify(collector.spans).includes('in-the-query'));
  });
});
