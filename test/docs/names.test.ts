import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { GUIDE_VARIABLES } from '../../src/platform/config/environment.ts';
import { configJsonSchema, configKeys } from '../../src/platform/config/keys.ts';
import { RENAMED_KEYS } from '../../src/platform/config/renamed-keys.ts';
import * as metrics from '../../src/platform/metrics.ts';
import { HOME, inlineCode, type Page, pages } from './pages.ts';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
}

/** Not a metric of ours: what a metrics adapter makes of one, what Prometheus records, and a scheme of JSON Schema. */
const MADE_BY_OTHERS = ['postern_auth_decisions_per_second'];
/** Keys of a proxy and of Grafana that pages speak of. */
const OF_OTHERS = ['tracing.otlp.http.endpoint', 'auth.proxy', 'auth.jwt'];
/** Read by the tests of the project, not by Postern. */
const OF_TESTS = /^POSTERN_(?:TEST|BENCH)_/;
const OF_COMMAND = ['POSTERN_CONFIG'];

/** Labels of every metric, by its name. */
function metricLabels(): Map<string, readonly string[]> {
  const registry = new Registry();
  metrics.createStoreMetrics(registry);
  metrics.createProcessMetrics(registry, 'relay');
  metrics.createAuditMetrics(registry);
  metrics.createTracingMetrics(registry);
  metrics.createWatchMetrics(registry);
  metrics.createBudgetMetrics(registry, () => ({}));
  const registries = [registry, metrics.createAuthMetrics().registry, metrics.createRelayMetrics().registry];
  return new Map(
    registries.flatMap((one) =>
      one.getMetricsAsArray().map((metric) => {
        const { name, labelNames } = metric as unknown as { name: string; labelNames?: readonly string[] };
        return [name, labelNames ?? []] as const;
      }),
    ),
  );
}

/** Whether a dotted path of the configuration leads to something; lists may be written with `[]` or without. */
function leads(schema: Schema | undefined, [name, ...rest]: readonly string[]): boolean {
  if (schema === undefined) return false;
  if (name === undefined) return true;
  if (schema.anyOf?.some((one) => leads(one, [name, ...rest]))) return true;
  if (schema.items !== undefined) return leads(schema.items, name === '[]' ? rest : [name, ...rest]);
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, name))
    return leads(schema.properties[name], rest);
  return typeof schema.additionalProperties === 'object' && leads(schema.additionalProperties, rest);
}

describe('names on the pages', () => {
  const labels = metricLabels();
  const keys = configKeys();
  const variables = new Set([
    ...OF_COMMAND,
    ...keys.flatMap(({ env, secret }) => (env === undefined ? [] : secret ? [env, `${env}_FILE`] : [env])),
  ]);
  const schema = configJsonSchema() as Schema;
  const sections = Object.keys(schema.properties ?? {});

  const unknownMetrics = ({ text }: Pick<Page, 'text'>) =>
    [...text.matchAll(/\b(postern_[a-z_]+[a-z])(?:\{([^}\n]*)\})?/g)].flatMap(([, written = '', braces = '']) => {
      if (MADE_BY_OTHERS.includes(written)) return [];
      const known = labels.get(written) ?? labels.get(written.replace(/_(?:bucket|sum|count)$/, ''));
      if (known === undefined) return [written];
      const names = [...braces.matchAll(/([a-z_]+)\s*(?:=|!|,|$)/g)].map(([, name]) => name as string);
      return names
        .filter((name) => ![...known, 'le', 'job', 'namespace', 'pod'].includes(name))
        .map((n) => `${written}{${n}}`);
    });
  // What a compose file asks of its reader, to hand it on to somebody else.
  const asked = (folder: string, name: string) => {
    const file = join(HOME, folder, 'compose.yaml');
    return existsSync(file) && readFileSync(file, 'utf8').includes(`\${${name}:?`);
  };
  const unknownVariables = ({ text, folder }: Pick<Page, 'text' | 'folder'>) =>
    [...text.matchAll(/\bPOSTERN_[A-Z0-9_]+[A-Z0-9]\b/g)]
      .map(([name]) => name)
      .filter((name) => !variables.has(name) && !OF_TESTS.test(name) && !asked(folder, name));
  const unknownKeys = (page: Page) =>
    inlineCode(page)
      .map((code) => /^([a-zA-Z]+)((?:\.[A-Za-z]+|\.<[a-z]+>|\[\])+)(?::|$)/.exec(code))
      .filter((found) => found !== null)
      .filter(([, section = '']) => sections.includes(section))
      .map(([, section = '', rest = '']) => `${section}${rest}`)
      .filter((path) => !/\.(?:ts|yaml|md|json|sh|jsonl|log|pem)$/.test(path))
      .filter((path) => !OF_OTHERS.includes(path) && !(page.path === 'CHANGELOG.md' && path in RENAMED_KEYS))
      .filter((path) => !leads(schema, path.replaceAll('[]', '.[]').split('.')));

  it('are found', () => {
    const all = pages();
    assert.ok(labels.size > 20 && variables.size > 100 && sections.length > 5);
    assert.deepEqual(unknownMetrics({ text: 'postern_nothing_total postern_store_up{wrong="1"}' }), [
      'postern_nothing_total',
      'postern_store_up{wrong}',
    ]);
    assert.deepEqual(unknownVariables({ folder: '.', text: 'POSTERN_NOTHING POSTERN_REDIS_URL' }), ['POSTERN_NOTHING']);
    assert.deepEqual(unknownKeys({ path: '', folder: '', text: '`auth.nothing` `relay.servers.<name>.url`' }), [
      'auth.nothing',
    ]);
    assert.ok(all.some(({ text }) => text.includes('`relay.trust.proxies`')));
  });

  for (const page of pages())
    it(`of ${page.path} exist`, () => {
      assert.deepEqual([...unknownMetrics(page), ...unknownVariables(page), ...unknownKeys(page)], []);
    });

  it("of the guide's variables lead to keys that exist", () => {
    const paths = new Set(keys.map(({ path }) => path));
    for (const [name, path] of Object.entries(GUIDE_VARIABLES)) assert.ok(paths.has(path), name);
  });
});
