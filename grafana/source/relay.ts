import { ON, RATE } from './promql.ts';
import { type Dashboard, greenFrom, INSTANCE, redFrom, SERVER } from './spec.ts';

const AT = `${ON},server=~"$server"`;

/** What the relay does for each MCP server. */
export const RELAY: Dashboard = {
  uid: 'postern-relay',
  title: 'Postern / Relay and tools',
  description: 'Requests, tools, times, streams and the state of every MCP server.',
  variables: [INSTANCE, SERVER],
  rows: [
    {
      title: 'MCP servers',
      panels: [
        {
          kind: 'timeseries',
          title: 'Requests',
          description: 'A second, by server and outcome.',
          unit: 'reqps',
          width: 12,
          stacked: true,
          queries: [
            {
              expr: `sum by (server, outcome) (rate(postern_relay_requests_total{${AT}}${RATE}))`,
              legend: '{{server}}: {{outcome}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'By way of authentication',
          description:
            'Who came by the proxy’s headers and who with a JWT of their own: at the end of a migration the second is zero.',
          unit: 'reqps',
          width: 12,
          queries: [
            { expr: `sum by (method) (rate(postern_relay_requests_total{${AT}}${RATE}))`, legend: '{{method}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Time, p99',
          description: 'Until the answer of the server has ended.',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: `histogram_quantile(0.99, sum by (le, server) (rate(postern_relay_request_duration_seconds_bucket{${AT}}${RATE})))`,
              legend: '{{server}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Up',
          description: '1 where the server answered last, 0 where it did not.',
          unit: 'short',
          width: 12,
          thresholds: greenFrom(1),
          queries: [{ expr: `min by (server) (postern_relay_upstream_up{${AT}})`, legend: '{{server}}' }],
        },
      ],
    },
    {
      title: 'Tools',
      panels: [
        {
          kind: 'timeseries',
          title: 'Tool calls',
          description: 'A second, by server, tool and outcome. Names that no server has listed are counted as one.',
          unit: 'reqps',
          width: 12,
          stacked: true,
          queries: [
            {
              expr: `sum by (server, tool, outcome) (rate(postern_relay_tool_calls_total{${AT}}${RATE}))`,
              legend: '{{server}} {{tool}}: {{outcome}}',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Denied by the policy, last hour',
          description: 'Calls that relay.policy refused, or would have refused in a dry run.',
          unit: 'short',
          width: 6,
          queries: [
            {
              expr: `sum(increase(postern_relay_policy_denials_total{${AT}}[1h])) or vector(0)`,
              legend: 'denied',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Tools held back',
          description:
            'Pinned tools whose definition has changed. No one can use them until an operator approves: `postern pins`.',
          unit: 'short',
          width: 6,
          thresholds: redFrom(1),
          queries: [{ expr: `max(postern_relay_tools_held_back{${AT}}) or vector(0)`, legend: 'held back' }],
        },
      ],
    },
    {
      title: 'Streams',
      panels: [
        {
          kind: 'timeseries',
          title: 'Open streams',
          description: 'By transport.',
          unit: 'short',
          width: 8,
          stacked: true,
          queries: [{ expr: `sum by (transport) (postern_relay_open_streams{${ON}})`, legend: '{{transport}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Streams ended by the relay',
          description: 'Because the identity expired or was revoked, or an operator wanted it.',
          unit: 'reqps',
          width: 8,
          queries: [
            {
              expr: `sum by (reason) (rate(postern_relay_streams_ended_total{${ON}}${RATE}))`,
              legend: '{{reason}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Failed at the server',
          description: 'Requests that an MCP server did not answer as it should.',
          unit: 'reqps',
          width: 8,
          queries: [
            {
              expr: `sum by (server, outcome) (rate(postern_relay_requests_total{${AT},outcome=~"upstream_.*"}${RATE}))`,
              legend: '{{server}}: {{outcome}}',
            },
          ],
        },
      ],
    },
    {
      title: 'What clients hold in memory',
      panels: [
        {
          kind: 'timeseries',
          title: 'Held',
          description: 'Of all identities together. Each is bounded by `relay.budgets`.',
          unit: 'short',
          width: 8,
          queries: [{ expr: `sum by (budget) (postern_relay_budget_held{${ON}})`, legend: '{{budget}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Bytes held',
          description:
            'What clients sent that waits for answers, and messages of servers that clients have not read. Grows where they do not answer or read.',
          unit: 'bytes',
          width: 8,
          stacked: true,
          queries: [{ expr: `sum by (budget) (postern_relay_budget_held_bytes{${ON}})`, legend: '{{budget}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Budgets spent',
          description:
            'A user wanted more than `relay.budgets` allows and was told to try again. The log names the user and the key.',
          unit: 'reqps',
          width: 8,
          queries: [
            {
              expr: `sum by (scope, budget) (rate(postern_relay_budget_spent_total{${ON}}${RATE}))`,
              legend: '{{scope}}: {{budget}}',
            },
          ],
        },
      ],
    },
  ],
};
