import { ON, RATE } from './promql.ts';
import { type Dashboard, greenFrom, INSTANCE, redFrom } from './spec.ts';

/** The processes themselves, and what they keep in Redis. */
export const RUNTIME: Dashboard = {
  uid: 'postern-runtime',
  title: 'Postern / Redis and runtime',
  description: 'The session store and the Node.js processes.',
  variables: [INSTANCE],
  rows: [
    {
      title: 'Session store',
      panels: [
        {
          kind: 'timeseries',
          title: 'Up',
          description: '1 where the store answered last. At 0 sessions get 503 and tokens go on working.',
          unit: 'short',
          width: 8,
          thresholds: greenFrom(1),
          queries: [{ expr: `postern_store_up{${ON}}`, legend: '{{instance}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Operations',
          description: 'A second, by operation.',
          unit: 'reqps',
          width: 8,
          queries: [
            {
              expr: `sum by (operation) (rate(postern_store_duration_seconds_count{${ON}}${RATE}))`,
              legend: '{{operation}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Time of an operation, p99',
          description: 'By operation.',
          unit: 's',
          width: 8,
          thresholds: redFrom(0.1),
          queries: [
            {
              expr: `histogram_quantile(0.99, sum by (le, operation) (rate(postern_store_duration_seconds_bucket{${ON}}${RATE})))`,
              legend: '{{operation}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Traces',
      panels: [
        {
          kind: 'timeseries',
          title: 'Spans',
          description:
            'What became of them. Failed: the collector is away or refuses them. Dropped: more come than it takes. All stay at 0 where traces are off.',
          unit: 'reqps',
          width: 24,
          queries: [
            {
              expr: `sum by (outcome) (rate(postern_trace_spans_total{${ON}}${RATE}))`,
              legend: '{{outcome}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Processes',
      panels: [
        {
          kind: 'table',
          title: 'What runs',
          description: 'Instances and their versions.',
          unit: 'short',
          width: 8,
          queries: [{ expr: `postern_build_info{${ON}}`, legend: '{{instance}} {{process}} {{version}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Configuration read again',
          description: 'Applied, or rejected, in which case the old one goes on: its log names the wrong key.',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: `sum by (instance, outcome) (increase(postern_config_reloads_total{${ON}}[1h]))`,
              legend: '{{instance}} {{outcome}}',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Last change of the configuration',
          description: 'How long ago a replica last took one.',
          unit: 'dtdurations',
          width: 8,
          queries: [
            {
              expr: `time() - max(postern_config_last_reload_success_timestamp_seconds{${ON}})`,
              legend: 'ago',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'CPU',
          description: 'One process has one core for its work, and each of several workers has one.',
          unit: 'cores',
          width: 8,
          thresholds: redFrom(0.9),
          queries: [{ expr: `rate(process_cpu_seconds_total{${ON}}${RATE})`, legend: '{{instance}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Event loop lag, p99',
          description:
            'How long work waits for its turn; of several workers the slowest. Above 100 ms every request waits.',
          unit: 's',
          width: 8,
          thresholds: redFrom(0.1),
          queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${ON}}`, legend: '{{instance}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Memory',
          description: 'Resident, and the part that JavaScript uses.',
          unit: 'bytes',
          width: 12,
          queries: [
            { expr: `process_resident_memory_bytes{${ON}}`, legend: '{{instance}} resident' },
            { expr: `nodejs_heap_size_used_bytes{${ON}}`, legend: '{{instance}} heap used' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Open files and sockets',
          description: 'Each open connection is one.',
          unit: 'short',
          width: 12,
          queries: [{ expr: `process_open_fds{${ON}}`, legend: '{{instance}}' }],
        },
      ],
    },
  ],
};
