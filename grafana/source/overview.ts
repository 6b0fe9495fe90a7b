import { ON, RATE } from './promql.ts';
import { type Dashboard, greenFrom, INSTANCE, redFrom } from './spec.ts';

/** One look: does it work, for how many, how fast. */
export const OVERVIEW: Dashboard = {
  uid: 'postern-overview',
  title: 'Postern / Overview',
  description: 'Whether people and agents get through to the MCP servers, how many, and how fast.',
  variables: [INSTANCE],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'stat',
          title: 'Decisions answered',
          description:
            'Share of the proxy’s questions that got a real answer. Below 99.9 % people see errors: look at Forward-auth.',
          unit: 'percentunit',
          width: 4,
          thresholds: greenFrom(0.999),
          queries: [
            {
              expr: `1 - (sum(rate(postern_auth_decisions_total{${ON},decision="unavailable"}${RATE})) or vector(0)) / sum(rate(postern_auth_decisions_total{${ON}}${RATE}))`,
              legend: 'answered',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'MCP requests answered',
          description: 'Share of the relay’s requests that an MCP server answered. Refused ones do not count.',
          unit: 'percentunit',
          width: 4,
          thresholds: greenFrom(0.99),
          queries: [
            {
              expr: `sum(rate(postern_relay_requests_total{${ON},outcome="relayed"}${RATE})) / sum(rate(postern_relay_requests_total{${ON},outcome!~"refused|client_gone"}${RATE}))`,
              legend: 'answered',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'MCP servers up',
          description: 'MCP servers that answered when they were last asked, as a share of those that the relay asks.',
          unit: 'percentunit',
          width: 4,
          thresholds: greenFrom(1),
          queries: [{ expr: `avg(min by (server) (postern_relay_upstream_up{${ON}}))`, legend: 'up' }],
        },
        {
          kind: 'stat',
          title: 'Identity providers up',
          description: 'Providers that gave their keys when they were last asked. Known keys go on serving meanwhile.',
          unit: 'percentunit',
          width: 4,
          thresholds: greenFrom(1),
          queries: [{ expr: `avg(min by (provider) (postern_provider_up{${ON}}))`, legend: 'up' }],
        },
        {
          kind: 'stat',
          title: 'Session store up',
          description: 'Replicas whose store (Redis, or memory) answered last. Without it sessions get 503.',
          unit: 'percentunit',
          width: 4,
          thresholds: greenFrom(1),
          queries: [{ expr: `avg(postern_store_up{${ON}})`, legend: 'up' }],
        },
        {
          kind: 'stat',
          title: 'Open streams',
          description: 'MCP streams and connections that are open now.',
          unit: 'short',
          width: 4,
          queries: [{ expr: `sum(postern_relay_open_streams{${ON}})`, legend: 'open' }],
        },
      ],
    },
    {
      title: 'Traffic',
      panels: [
        {
          kind: 'timeseries',
          title: 'Decisions',
          description: 'Questions of the proxies a second, by answer.',
          unit: 'reqps',
          width: 12,
          stacked: true,
          queries: [
            { expr: `sum by (decision) (rate(postern_auth_decisions_total{${ON}}${RATE}))`, legend: '{{decision}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'MCP requests',
          description: 'Requests at the relay a second, by how they ended.',
          unit: 'reqps',
          width: 12,
          stacked: true,
          queries: [
            { expr: `sum by (outcome) (rate(postern_relay_requests_total{${ON}}${RATE}))`, legend: '{{outcome}}' },
          ],
        },
      ],
    },
    {
      title: 'Time',
      panels: [
        {
          kind: 'timeseries',
          title: 'Time to decide',
          description: 'What forward-auth adds to every request.',
          unit: 's',
          width: 12,
          thresholds: redFrom(0.05),
          queries: [0.5, 0.99].map((quantile) => ({
            expr: `histogram_quantile(${quantile}, sum by (le) (rate(postern_auth_decision_duration_seconds_bucket{${ON}}${RATE})))`,
            legend: `p${quantile * 100}`,
          })),
        },
        {
          kind: 'timeseries',
          title: 'Time of MCP servers',
          description: 'Until the answer of an MCP server has ended.',
          unit: 's',
          width: 12,
          queries: [0.5, 0.99].map((quantile) => ({
            expr: `histogram_quantile(${quantile}, sum by (le) (rate(postern_relay_request_duration_seconds_bucket{${ON}}${RATE})))`,
            legend: `p${quantile * 100}`,
          })),
        },
      ],
    },
  ],
};
