import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { buildDashboard } from '../../grafana/source/build.ts';
import { DASHBOARDS } from '../../grafana/source/dashboards.ts';
import { SECURITY_EVENT_KINDS } from '../../src/platform/config/watch-schema.ts';
import {
  createAuditMetrics,
  createAuthMetrics,
  createBudgetMetrics,
  createProcessMetrics,
  createRelayMetrics,
  createStoreMetrics,
  createTracingMetrics,
  createWatchMetrics,
} from '../../src/platform/metrics.ts';
import { FORGERIES } from '../../src/relay/refusal.ts';
import { programOrSkip } from '../support/programs.ts';

const GRAFANA = new URL('../../grafana/', import.meta.url);
const { homepage } = JSON.parse(readFileSync(new URL('../package.json', GRAFANA), 'utf8')) as { homepage: string };
const PAGES = `${homepage.replace(/#.*$/, '')}/blob/main/`;
const RULE_FILES = ['recording.yaml', 'alerts.yaml'];
const RULE_TESTS = fileURLToPath(new URL('./alerts.test.yaml', import.meta.url));

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

function rules(): Rule[] {
  return RULE_FILES.flatMap((file) =>
    (
      parse(readFileSync(new URL(`rules/${file}`, GRAFANA), 'utf8')) as { groups: Array<{ rules: Rule[] }> }
    ).groups.flatMap((group) => group.rules),
  );
}

/** Every series that our processes and Prometheus itself make. */
function knownSeries(): Set<string> {
  const registries = [createAuthMetrics().registry, createRelayMetrics().registry, new Registry()];
  createStoreMetrics(registries[2] as Registry);
  createAuditMetrics(registries[2] as Registry);
  createTracingMetrics(registries[2] as Registry);
  createWatchMetrics(registries[2] as Registry);
  createBudgetMetrics(registries[2] as Registry, () => ({}));
  createProcessMetrics(registries[2] as Registry, 'relay');
  const known = new Set(['up']);
  for (const metric of registries.flatMap((registry) => registry.getMetricsAsArray())) {
    known.add(metric.name);
    if (String(metric.type) === 'histogram')
      for (const part of ['bucket', 'count', 'sum']) known.add(`${metric.name}_${part}`);
  }
  return known;
}

/** Names of series in PromQL: what is left without label matchers, strings, functions and keywords. */
function seriesIn(expr: string): string[] {
  return expr
    .replace(/\{[^}]*\}/g, '')
    .replace(/\b(?:by|on) \([^)]*\)/g, '')
    .match(/\b(?:postern[\w:]*|process_\w+|nodejs_\w+|up)\b/g) as string[];
}

describe('the files of grafana/', () => {
  const all = rules();
  const alerts = all.filter((rule) => rule.alert !== undefined);

  for (const dashboard of DASHBOARDS)
    it(`${dashboard.uid}.json is what its source makes; otherwise run \`npm run grafana\``, () => {
      const file = readFileSync(new URL(`dashboards/${dashboard.uid}.json`, GRAFANA), 'utf8');
      assert.equal(file, `${JSON.stringify(buildDashboard(dashboard), null, 2)}\n`);
    });

  for (const { uid } of DASHBOARDS)
    it(`${uid}.json leads to every other dashboard, with the time and the filters of this one`, () => {
      const { links, tags } = JSON.parse(readFileSync(new URL(`dashboards/${uid}.json`, GRAFANA), 'utf8')) as {
        links: Array<{ type: string; tags: string[]; keepTime: boolean; includeVars: boolean }>;
        tags: string[];
      };
      assert.deepEqual(
        links.map(({ type, tags: of, keepTime, includeVars }) => ({ type, of, keepTime, includeVars })),
        [{ type: 'dashboards', of: tags, keepTime: true, includeVars: true }],
      );
      assert.deepEqual(tags, ['postern']);
    });

  it('holds no dashboard that nothing makes', () => {
    const made = DASHBOARDS.map(({ uid }) => `${uid}.json`);
    assert.deepEqual(readdirSync(new URL('dashboards/', GRAFANA)).sort(), made.sort());
  });

  it('queries only what our processes have', () => {
    const known = knownSeries();
    for (const rule of all) if (rule.record !== undefined) known.add(rule.record);
    const panels = DASHBOARDS.flatMap(({ rows }) => rows.flatMap((row) => row.panels));
    const queries = [...panels.flatMap(({ queries }) => queries), ...all].map(({ expr }) => expr);
    for (const expr of queries) {
      assert.ok(seriesIn(expr).length > 0, expr);
      for (const name of seriesIn(expr)) assert.ok(known.has(name), `${name} in ${expr}`);
    }
  });

  it('shows every metric of ours somewhere', () => {
    const text = JSON.stringify([DASHBOARDS, all]);
    for (const name of knownSeries())
      if (name.startsWith('postern_') && !/_(?:bucket|count|sum)$/.test(name)) assert.ok(text.includes(name), name);
  });

  it('alerts of every kind of forgery that the relay counts, and shows it', () => {
    const { expr = '' } = alerts.find(({ alert }) => alert === 'PosternSpoofAttempts') ?? {};
    const panels = DASHBOARDS.flatMap(({ rows }) => rows.flatMap((row) => row.panels));
    const shown = panels.find(({ title }) => title === 'Forged identities, last hour')?.queries[0]?.expr ?? '';
    for (const query of [expr, shown]) {
      const reasons = new RegExp(`^(?:${/reason=~"([^"]+)"/.exec(query)?.[1] ?? assert.fail(query)})$`);
      for (const reason of FORGERIES) assert.match(reason, reasons);
    }
  });

  it('alerts of every kind of security event, but of one that needs nobody', () => {
    const named = alerts.flatMap(({ expr }) => [...expr.matchAll(/kind=~?"([^"]+)"/g)].map(([, kinds]) => kinds));
    const covered = named.join('|').split('|');
    assert.deepEqual(
      SECURITY_EVENT_KINDS.filter((kind) => !covered.includes(kind)),
      ['removed_provider'],
    );
    for (const kind of covered)
      assert.ok((SECURITY_EVENT_KINDS as readonly (string | undefined)[]).includes(kind), kind);
  });

  it('says of every panel what a reader should conclude', () => {
    for (const { rows } of DASHBOARDS)
      for (const { title, description, queries } of rows.flatMap((row) => row.panels)) {
        assert.ok(description.length >= 10, title);
        assert.ok(queries.length > 0, title);
      }
  });

  it('every alert says how urgent it is, what it means and where its runbook is', () => {
    for (const { alert, labels, annotations } of alerts) {
      assert.match(labels?.severity ?? '', /^(?:page|ticket)$/, alert);
      for (const name of ['summary', 'description'])
        assert.ok((annotations?.[name] ?? '').length > 10, `${alert}: ${name}`);
      // Absolute, because Alertmanager, mail and chat show it far from these files.
      const address = annotations?.runbook_url ?? '';
      assert.ok(address.startsWith(PAGES), `${alert}: ${address}`);
      const runbook = address.slice(PAGES.length);
      assert.ok(existsSync(new URL(`../${runbook}`, GRAFANA)), `${alert}: ${runbook}`);
      assert.ok(
        readFileSync(new URL(`../${runbook}`, GRAFANA), 'utf8').includes(alert as string),
        `${runbook} does not name ${alert}`,
      );
    }
  });

  it('every alert is tried by the rule tests', () => {
    const tests = readFileSync(RULE_TESTS, 'utf8');
    for (const { alert } of alerts) assert.ok(tests.includes(`alertname="${alert}",alertstate="firing"`), alert);
  });

  it('promtool finds the rules valid, and they fire and stay quiet as tested', async function () {
    const program = await programOrSkip(this, 'promtool');
    if (program.kind !== 'binary') return this.skip();
    const run = promisify(execFile);
    const files = RULE_FILES.map((file) => fileURLToPath(new URL(`rules/${file}`, GRAFANA)));
    await run(program.path, ['check', 'rules', ...files]);
    await run(program.path, ['test', 'rules', RULE_TESTS]);
  });
});
