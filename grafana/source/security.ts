import { ON, RATE } from './promql.ts';
import { type Dashboard, INSTANCE, redFrom } from './spec.ts';

const SPOOFS =
  'spoof_attempt|unproven_peer|header_.*|duplicate_header|proxy_secret|proxy_certificate|assertion_.*|identity_malformed';

/** Attempts of those who should not get in. */
export const SECURITY: Dashboard = {
  uid: 'postern-security',
  title: 'Postern / Security',
  description: 'Refusals, forged identities, failed sign-ins and limits: what an attack would move.',
  variables: [INSTANCE],
  rows: [
    {
      title: 'Unusual',
      panels: [
        {
          kind: 'stat',
          title: 'Security events, last hour',
          description: 'What the watch found unusual. The log lines with event="security" and the admin pages say who.',
          unit: 'short',
          width: 6,
          thresholds: redFrom(10, 1),
          queries: [{ expr: `sum(increase(postern_security_events_total{${ON}}[1h])) or vector(0)`, legend: 'events' }],
        },
        {
          kind: 'timeseries',
          title: 'Security events by kind',
          description:
            'In the last ten minutes, the same of one user or address once. docs/security-events.md says what to do.',
          unit: 'short',
          width: 12,
          queries: [
            {
              expr: `sum by (kind) (increase(postern_security_events_total{${ON}}[10m]))`,
              legend: '{{kind}}',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Not looked at, last hour',
          description:
            'Observations that the watch had no time for. Anything but zero is a flood, which is unusual by itself.',
          unit: 'short',
          width: 6,
          thresholds: redFrom(1),
          queries: [
            {
              expr: `sum(increase(postern_security_observations_dropped_total{${ON}}[1h])) or vector(0)`,
              legend: 'missed',
            },
          ],
        },
      ],
    },
    {
      title: 'Webhook',
      panels: [
        {
          kind: 'timeseries',
          title: 'Deliveries of security events',
          description:
            'Attempts in the last ten minutes. All of it zero where no webhook is configured or nothing happened.',
          unit: 'short',
          width: 12,
          queries: [
            {
              expr: `sum by (outcome) (increase(postern_security_webhook_deliveries_total{${ON}}[10m]))`,
              legend: '{{outcome}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Security events that wait',
          description: 'For a receiver that does not answer. They are dropped after `watch.webhook.deliveryTimeout`.',
          unit: 'short',
          width: 12,
          queries: [{ expr: `sum by (process) (postern_security_webhook_waiting{${ON}})`, legend: '{{process}}' }],
        },
      ],
    },
    {
      title: 'Tried and refused',
      panels: [
        {
          kind: 'stat',
          title: 'Forged identities, last hour',
          description: 'Identity headers from a peer that is not a proven proxy, or in a form that no proxy sends.',
          unit: 'short',
          width: 6,
          thresholds: redFrom(1),
          queries: [
            {
              expr: `sum(increase(postern_relay_rejected_total{${ON},reason=~"${SPOOFS}"}[1h])) or vector(0)`,
              legend: 'forged',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Bad tokens, last hour',
          description: 'Tokens that were sent and are not valid: expired ones are usual, wrong signatures are not.',
          unit: 'short',
          width: 6,
          queries: [
            {
              expr: `sum(increase(postern_auth_decisions_total{${ON},reason=~"token_.*"}[1h])) or vector(0)`,
              legend: 'bad tokens',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Failed sign-ins, share',
          description:
            'Of all sign-ins in the last hour. Half of them failing means a broken provider or an attacker guessing.',
          unit: 'percentunit',
          width: 6,
          thresholds: redFrom(0.5, 0.2),
          queries: [
            {
              expr: `sum(increase(postern_sign_ins_total{${ON},outcome!="signed_in"}[1h])) / sum(increase(postern_sign_ins_total{${ON}}[1h]))`,
              legend: 'failed',
            },
          ],
        },
        {
          kind: 'stat',
          title: 'Certificate ends in',
          description: 'The listener whose certificate ends first.',
          unit: 'dtdurations',
          width: 6,
          thresholds: [
            { from: null, color: 'red' },
            { from: 3 * 86_400, color: 'orange' },
            { from: 14 * 86_400, color: 'green' },
          ],
          queries: [{ expr: `min(postern_certificate_expiry_timestamp_seconds{${ON}}) - time()`, legend: 'ends in' }],
        },
        {
          kind: 'stat',
          title: 'Authorization server, last hour',
          description: 'Events of Postern’s own authorization server: registrations, grants, and what it refused.',
          unit: 'short',
          width: 12,
          queries: [{ expr: `sum(increase(postern_oauth_events_total{${ON}}[1h])) or vector(0)`, legend: 'events' }],
        },
        {
          kind: 'stat',
          title: 'Lost for the audit log, last hour',
          description: 'Entries that a full or slow sink did not take. Anything but zero is a gap in the record.',
          unit: 'short',
          width: 12,
          thresholds: redFrom(1),
          queries: [{ expr: `sum(increase(postern_audit_dropped_total{${ON}}[1h])) or vector(0)`, legend: 'lost' }],
        },
        {
          kind: 'timeseries',
          title: 'Refused at the relay',
          description: 'By reason, before any MCP server was asked.',
          unit: 'reqps',
          width: 12,
          stacked: true,
          queries: [
            { expr: `sum by (reason) (rate(postern_relay_rejected_total{${ON}}${RATE}))`, legend: '{{reason}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Denied at the edge',
          description: 'Signed in, or not, and refused all the same.',
          unit: 'reqps',
          width: 12,
          stacked: true,
          queries: [
            {
              expr: `sum by (reason) (rate(postern_auth_decisions_total{${ON},decision="deny"}${RATE}))`,
              legend: '{{reason}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Sign-ins that failed',
          description: 'By outcome.',
          unit: 'reqps',
          width: 12,
          queries: [
            {
              expr: `sum by (outcome) (rate(postern_sign_ins_total{${ON},outcome!="signed_in"}${RATE}))`,
              legend: '{{outcome}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Over a limit',
          description: 'By process and by what is counted.',
          unit: 'reqps',
          width: 12,
          queries: [
            {
              expr: `sum by (process, by) (rate(postern_rate_limited_total{${ON}}${RATE}))`,
              legend: '{{process}}: {{by}}',
            },
          ],
        },
      ],
    },
  ],
};
