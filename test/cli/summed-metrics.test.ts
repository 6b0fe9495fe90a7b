import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { Counter, type MetricObject, Registry } from 'prom-client';
import { SummedMetrics } from '../../src/cli/workers/summed-metrics.ts';
import { createAuthMetrics, createRelayMetrics } from '../../src/platform/metrics.ts';

describe('the metrics of several workers', () => {
  for (const [process, create] of [
    ['forward-auth', createAuthMetrics],
    ['relay', createRelayMetrics],
  ] as const)
    it(`show the slowest event loop of the ${process}`, async () => {
      const { registry } = create();
      const delayed = async (seconds: number) => {
        const metrics = (await registry.getMetricsAsJSON()) as Array<
          MetricObject & { values: Array<{ value: number }> }
        >;
        return metrics.map((metric) => {
          const delay = metric.name.startsWith('nodejs_eventloop_lag_');
          return delay ? { ...metric, values: [{ labels: {}, value: seconds }] } : metric;
        });
      };
      const summed: Registry = await new SummedMetrics(
        () => ['quick', 'slow'],
        (worker) => delayed(worker === 'slow' ? 3 : 1),
      ).read();
      const text = await summed.metrics();
      for (const name of ['', 'mean_', 'p50_', 'p90_', 'p99_', 'max_'])
        assert.match(text, new RegExp(`^nodejs_eventloop_lag_${name}seconds 3$`, 'm'));
    });

  it('let no sum fall by its last digit where it is added in another order', async () => {
    const counted: Record<string, number> = { a: 0.1, b: 0.2, c: 0.3, d: 0 };
    let workers = ['a', 'b', 'c'];
    const summed = new SummedMetrics(
      () => workers,
      async (worker) => {
        const registry = new Registry();
        const labelNames = ['of', 'by'];
        new Counter({ name: 'seconds', help: 's', labelNames, registers: [registry] }).inc(
          { of: 'x', by: 'y' },
          counted[worker] ?? 0,
        );
        return registry.getMetricsAsJSON() as Promise<MetricObject[]>;
      },
    );
    const read = async () => Number(/ ([\d.e-]+)$/m.exec(await (await summed.read()).metrics())?.[1]);
    const before = await read();
    workers = ['b', 'c', 'd'];
    const after = await read();
    assert.ok(after >= before, `${after} after ${before}`);
    counted.d = 1;
    assert.ok((await read()) > 1.5);
  });
});
