import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { DASHBOARDS } from '../../grafana/source/dashboards.ts';
import { browserOrSkip } from '../support/browser.ts';
import { type Collector, startCollector } from '../support/otlp-collector.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { type BusyPostern, startBusyPostern } from './busy-postern.ts';
import { drawDashboard } from './picture.ts';
import { type RunningPrometheus, type Series, startPrometheus } from './prometheus.ts';

/** Milliseconds. */
const LOAD = 20_000;

/** What Grafana puts in the place of its variables, for a graph of this load. */
function filled(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5s').replace(/"\$\w+"/g, '".*"');
}

describe('dashboards over a real load', function () {
  this.timeout(180_000);
  let redis: RedisServer | undefined;
  let collector: Collector | undefined;
  let busy: BusyPostern | undefined;
  let prometheus: RunningPrometheus | undefined;
  let from: number;
  let to: number;
  const query = (expr: string): Promise<Series[]> => (prometheus as RunningPrometheus).range(filled(expr), from, to);

  before(async function () {
    const program = await programOrSkip(this, 'prometheus');
    redis = await startRedis(await programOrSkip(this, 'redis'));
    collector = await startCollector();
    busy = await startBusyPostern(redis.url, collector.url);
    prometheus = await startPrometheus(program, busy.targets);
    const end = new AbortController();
    from = Date.now() / 1000;
    const load = busy.load(end.signal);
    await Promise.race([load, sleep(LOAD)]);
    to = Date.now() / 1000;
    end.abort();
    await load;
  });
  after(async () => {
    await prometheus?.stop();
    await busy?.stop();
    await redis?.stop();
    await collector?.stop();
  });

  for (const { title, rows } of DASHBOARDS)
    for (const panel of rows.flatMap((row) => row.panels))
      it(`${title}: ${panel.title}`, async () => {
        for (const { expr } of panel.queries) {
          const series = await query(expr);
          assert.ok(
            series.some(({ points }) => points.length > 0),
            `nothing to show for ${expr}`,
          );
        }
      });

  it('every recorded rule has values', async () => {
    for (const name of RECORDED)
      assert.ok(
        (await query(name)).some(({ points }) => points.length > 0),
        name,
      );
  });

  it('the attempt to forge an identity raises its alert', async () => {
    const alerts = await query('ALERTS{alertname="PosternSpoofAttempts",alertstate="firing"}');
    assert.ok(
      alerts.some(({ labels }) => labels.reason === 'proxy_secret' || labels.reason === 'spoof_attempt'),
      JSON.stringify(alerts),
    );
  });

  for (const histogram of [
    'postern_auth_decision_duration_seconds_bucket',
    'postern_relay_request_duration_seconds_bucket',
    'postern_store_duration_seconds_bucket',
  ])
    it(`exemplars of ${histogram} lead to traces that the collector has`, async () => {
      const ids = (await prometheus?.traceIds(histogram, from, to)) ?? [];
      const known = new Set(collector?.spans.map(({ traceId }) => traceId));
      assert.ok(ids.length > 0);
      // The last ones may not have been sent yet.
      assert.ok(
        ids.some((id) => known.has(id)),
        ids.join(),
      );
    });

  it('promtool finds nothing to complain about in the metrics of both processes', async function () {
    const program = await programOrSkip(this, 'promtool');
    if (program.kind !== 'binary') return this.skip();
    for (const target of Object.values(busy?.targets ?? {}).flat()) {
      const metrics = await (await fetch(`http://${target}/metrics`)).text();
      const child = spawn(program.path, ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
      child.stdin.end(metrics);
      const code = await new Promise((resolve) => child.on('close', resolve));
      const ours = said.split('\n').filter((line) => line.startsWith('postern_'));
      assert.deepEqual(ours, [], said);
      assert.ok(code === 0 || said.includes('nodejs_'), said);
    }
  });

  it('each dashboard is drawn from the data, and nothing in it is empty', async function () {
    const browser = await browserOrSkip(this);
    try {
      for (const dashboard of DASHBOARDS) await drawDashboard(browser, dashboard, query, { from, to });
    } finally {
      await browser.close();
    }
  });
});

const RECORDED = [
  'postern:decisions_unavailable:ratio_rate5m',
  'postern:decisions_unavailable:ratio_rate1h',
  'postern:relay_failed:ratio_rate5m',
  'postern:decision_duration_seconds:p99_rate5m',
  'postern:sign_ins_failed:ratio_rate15m',
];
