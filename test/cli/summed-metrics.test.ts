import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { MetricObject, Registry } from 'prom-client';
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
});
