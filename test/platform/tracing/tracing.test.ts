import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { configSchema } from '../../../src/platform/config/schema.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { createTracingMetrics } from '../../../src/platform/metrics.ts';
import { currentSpan, step, within, withoutSpan } from '../../../src/platform/tracing/current-span.ts';
import { openTracing } from '../../../src/platform/tracing/open-tracing.ts';
import type { Span, Tracing } from '../../../src/platform/tracing/span.ts';
import { freePorts } from '../../support/free-port.ts';
import { type Collector, startCollector } from '../../support/otlp-collector.ts';
import { until } from '../../support/until.ts';

const INVENTED = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: undefined };

describe('tracing', () => {
  let collector: Collector;
  let registry: Registry;
  let lines: string[];
  const opened: Tracing[] = [];

  beforeEach(async () => {
    collector = await startCollector();
    registry = new Registry();
    lines = [];
  });
  afterEach(async () => {
    while (opened.length > 0) await opened.pop()?.close();
    await collector.stop();
  });

  async function open(settings: object = {}, random = () => 0.5): Promise<Tracing> {
    const destination = new Writable({
      write: (line, _encoding, done) => {
        lines.push(String(line));
        done();
      },
    });
    registry = new Registry();
    const { tracing } = configSchema.parse({ tracing: { endpoint: collector.url, ...settings } });
    const found = await openTracing(tracing, {
      process: 'relay',
      metrics: createTracingMetrics(registry),
      log: createLogger('test', 'info', destination),
      random,
    });
    assert.ok(found);
    opened.push(found);
    return found;
  }
  const names = () => collector.spans.map(({ name }) => name).sort();
  const count = async (outcome: string) => {
    const text = await registry.metrics();
    return Number(new RegExp(`postern_trace_spans_total\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1]);
  };

  it('is nothing where no collector is named, or it is switched off', async () => {
    const deps = {
      process: 'relay',
      metrics: createTracingMetrics(registry),
      log: createLogger('test', 'silent'),
    } as const;
    for (const settings of [{}, { endpoint: collector.url, enabled: false }])
      assert.equal(await openTracing(configSchema.parse({ tracing: settings }).tracing, deps), undefined);
    assert.equal(
      step(
        undefined,
        'a',
        () => assert.fail('asked for options'),
        (span) => span,
      ),
      undefined,
    );
    assert.equal(currentSpan(), undefined);
  });

  it('sends a request and what was done for it as one trace', async () => {
    const tracing = await open({ serviceName: 'gate', attributes: 'team=a%20b', headers: 'authorization=Bearer%20x' });
    const request = tracing.begin('request', { kind: 'server', remote: INVENTED });
    const answer = await within(request, () =>
      step(
        tracing,
        'part',
        () => ({}),
        async (span) => span?.spanId,
      ),
    );
    request.end();
    const part = await collector.find('the part', ({ name }) => name === 'part');
    const whole = await collector.find('the request', ({ name }) => name === 'request');
    assert.equal(part.spanId, answer);
    assert.equal(part.parentSpanId, whole.spanId);
    assert.equal(whole.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
    assert.equal(whole.parentSpanId, '00f067aa0ba902b7');
    assert.equal(whole.service, 'gate');
    assert.equal(whole.resource.team, 'a b');
    assert.equal(whole.sentWith.authorization, 'Bearer x');
    await until('they are counted', async () => (await count('sent')) === 2);
  });

  it('keeps a share, by its own chance and not by the caller’s word', async () => {
    const tracing = await open({ sample: 0.5 }, () => 0.5);
    const mine = tracing.begin('from a client that wants it kept', { remote: INVENTED });
    assert.equal(mine.sampled, false);
    assert.match(mine.context.traceparent, /-00$/);
    mine.end();
    const kept = await open({ sample: 0.5 }, () => 0.49);
    kept.begin('kept', { remote: INVENTED }).end();
    await collector.find('the share', ({ name }) => name === 'kept');
    assert.deepEqual(names(), ['kept']);
  });

  it('follows a proxy’s decision only where it is told to, and its trace unless it is told not to', async () => {
    const follows = await open({ sample: 0, fromProxy: 'sampling' });
    assert.equal(follows.begin('a', { remote: INVENTED }).sampled, true);
    const ignores = await open({ sample: 1, fromProxy: 'nothing' });
    assert.notEqual(ignores.begin('a', { remote: INVENTED }).traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
  });

  it('keeps whatever was refused or failed, with all that came before', async () => {
    const tracing = await open({ sample: 0 });
    const part = (name: string) =>
      step(
        tracing,
        name,
        () => ({}),
        () => {},
      );
    const run = (name: string, work: (span: Span) => void) => {
      const span = tracing.begin(name, {});
      within(span, () => {
        part(`part of ${name}`);
        work(span);
      });
      span.end();
    };
    run('allowed', () => {});
    run('denied', (span) => span.keep());
    run('failed', () =>
      assert.throws(
        () =>
          step(
            tracing,
            'fails',
            () => ({}),
            () => assert.fail('no'),
          ),
        /no/,
      ),
    );
    await collector.find('the failure', ({ name }) => name === 'failed');
    assert.deepEqual(names(), ['denied', 'failed', 'fails', 'part of denied', 'part of failed']);
    const fails = collector.spans.find(({ name }) => name === 'fails');
    assert.equal(fails?.failed, true);
    assert.equal(fails?.attributes['error.type'], 'ERR_ASSERTION');
  });

  it('a timer that outlives its request belongs to nothing', async () => {
    const tracing = await open();
    const request = tracing.begin('request', {});
    const later = within(request, async () => {
      await sleep(20);
      return currentSpan();
    });
    assert.equal(
      within(request, () => withoutSpan(currentSpan)),
      undefined,
    );
    request.end();
    assert.equal(await later, undefined);
  });

  it('with the collector away nothing waits, nothing grows, and it is said once', async () => {
    const [port] = await freePorts(1);
    const tracing = await open({ endpoint: `http://127.0.0.1:${port}`, timeout: '200ms', maxQueue: 10 });
    for (let index = 0; index < 50; index++) tracing.begin('lost', {}).end();
    assert.equal(await count('dropped'), 40);
    await until('it was tried', async () => (await count('failed')) === 10);
    tracing.begin('lost', {}).end();
    await until('it was tried again', async () => (await count('failed')) === 11);
    const said = lines.filter((line) => line.includes('traces cannot be sent'));
    assert.equal(said.length, 1, lines.join(''));
  });

  it('says when the collector takes traces again', async () => {
    const tracing = await open();
    collector.status = 400;
    tracing.begin('refused', {}).end();
    await until('it was refused', async () => (await count('failed')) === 1);
    collector.status = 200;
    tracing.begin('taken', {}).end();
    await collector.find('the one that is taken', ({ name }) => name === 'taken');
    await until('that is said', () => lines.some((line) => line.includes('traces are sent to the collector again')));
  });

  it('an end sends what waits', async () => {
    const tracing = await open();
    tracing.begin('last', {}).end();
    await tracing.close();
    tracing.begin('after the end', {}).end();
    assert.equal(await count('dropped'), 1);
    assert.deepEqual(names(), ['last']);
  });

  it('an end does not wait for ever for a collector that does not answer', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const tracing = await open({ endpoint: `http://127.0.0.1:${port}`, timeout: '1h' });
    tracing.begin('last', {}).end();
    await tracing.close();
    silent.closeAllConnections();
    silent.close();
  });

  it('cuts what a client invents', async () => {
    const tracing = await open();
    const span = tracing.begin('long', { attributes: { 'gen_ai.tool.name': 'x'.repeat(10_000) } });
    span.end();
    const got = await collector.find('it', ({ name }) => name === 'long');
    assert.equal(String(got.attributes['gen_ai.tool.name']).length, 512);
  });
});
