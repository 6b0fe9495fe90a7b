import { ON, RATE } from './promql.ts';
import { type Dashboard, greenFrom, INSTANCE } from './spec.ts';

/** Who asks forward-auth, what it answers, and why. */
export const FORWARD_AUTH: Dashboard = {
  uid: 'postern-forward-auth',
  title: 'Postern / Forward-auth',
  description: 'Questions of the proxies, their answers and reasons, sign-ins, sessions and identity providers.',
  variables: [INSTANCE],
  rows: [
    {
      title: 'Decisions',
      panels: [
        {
          kind: 'timeseries',
          title: 'Decisions by proxy',
          description: 'Which kind of proxy asks, and how often a second.',
          unit: 'reqps',
          width: 8,
          queries: [{ expr: `sum by (proxy) (rate(postern_auth_decisions_total{${ON}}${RATE}))`, legend: '{{proxy}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Allowed, by credential',
          description: 'How those who were let through proved who they are.',
          unit: 'reqps',
          width: 8,
          stacked: true,
          queries: [
            {
              expr: `sum by (method) (rate(postern_auth_decisions_total{${ON},decision="allow"}${RATE}))`,
              legend: '{{method}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Not allowed, by reason',
          description:
            'Why requests were challenged, redirected, refused or limited. `no_credential` is how every MCP client begins.',
          unit: 'reqps',
          width: 8,
          stacked: true,
          queries: [
            {
              expr: `sum by (decision, reason) (rate(postern_auth_decisions_total{${ON},decision!="allow"}${RATE}))`,
              legend: '{{decision}}: {{reason}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Time to decide, p99 by answer',
          description: 'A slow allow waits for a provider or the store; a slow challenge should not exist.',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: `histogram_quantile(0.99, sum by (le, decision) (rate(postern_auth_decision_duration_seconds_bucket{${ON}}${RATE})))`,
              legend: '{{decision}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Overload',
          description:
            'Checks of credentials not seen before: those that wait for their turn, and those that were answered 503 because too many waited. Known credentials pass them by.',
          unit: 'short',
          width: 12,
          queries: [
            { expr: `sum(postern_auth_waiting_checks{${ON}})`, legend: 'waiting' },
            {
              expr: `sum(rate(postern_auth_decisions_total{${ON},reason="overloaded"}${RATE})) or vector(0)`,
              legend: 'refused a second',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Verified tokens found in the cache',
          description: 'Share of look-ups. Low where every request brings a new token, which costs a signature check.',
          unit: 'percentunit',
          width: 12,
          queries: [
            {
              expr: `sum(rate(postern_token_cache_total{${ON},outcome="hit"}${RATE})) / sum(rate(postern_token_cache_total{${ON}}${RATE}))`,
              legend: 'hits',
            },
          ],
        },
      ],
    },
    {
      title: 'People',
      panels: [
        {
          kind: 'timeseries',
          title: 'Sign-ins',
          description: 'By provider and outcome. `provider_error` and `unavailable` are not the person’s fault.',
          unit: 'reqps',
          width: 12,
          queries: [
            {
              expr: `sum by (provider, outcome) (rate(postern_sign_ins_total{${ON}}${RATE}))`,
              legend: '{{provider}}: {{outcome}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Sessions',
          description: 'Begun, refreshed, and why they ended.',
          unit: 'reqps',
          width: 12,
          queries: [{ expr: `sum by (event) (rate(postern_sessions_total{${ON}}${RATE}))`, legend: '{{event}}' }],
        },
      ],
    },
    {
      title: 'Identity providers',
      panels: [
        {
          kind: 'timeseries',
          title: 'Up',
          description: '1 where the provider gave its keys when it was last asked.',
          unit: 'short',
          width: 12,
          thresholds: greenFrom(1),
          queries: [{ expr: `min by (provider) (postern_provider_up{${ON}})`, legend: '{{provider}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Age of the keys',
          description: 'Keys are fetched every ten minutes. Old ones miss what the provider has rotated.',
          unit: 'dtdurations',
          width: 12,
          queries: [
            {
              expr: `time() - min by (provider) (postern_provider_keys_loaded_timestamp_seconds{${ON}})`,
              legend: '{{provider}}',
            },
          ],
        },
      ],
    },
  ],
};
