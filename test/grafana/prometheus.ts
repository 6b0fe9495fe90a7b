import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../support/child.ts';
import { freePorts } from '../support/free-port.ts';
import type { Program } from '../support/programs.ts';

/** One line of a graph: labels, and points of Unix time in seconds and value. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: ReadonlyArray<readonly [number, number]>;
}

export interface RunningPrometheus {
  /** @param expr PromQL, for a graph from one Unix time in seconds to another */
  range(expr: string, from: number, to: number): Promise<Series[]>;
  /** Trace ids of the exemplars that are kept of these series. */
  traceIds(expr: string, from: number, to: number): Promise<string[]>;
  stop(): Promise<void>;
}

/**
 * A real Prometheus that asks every half second and knows the recording rules of `grafana/rules`.
 *
 * @param targets addresses by job
 */
export async function startPrometheus(
  program: Program,
  targets: Readonly<Record<string, readonly string[]>>,
): Promise<RunningPrometheus> {
  if (program.kind !== 'binary') throw new Error('Prometheus runs from a binary only');
  const folder = await mkdtemp(join(tmpdir(), 'postern-prometheus-'));
  const [port] = await freePorts(1);
  const config = {
    global: { scrape_interval: '500ms', scrape_timeout: '400ms', evaluation_interval: '1s' },
    rule_files: [fileURLToPath(new URL('../../grafana/rules/*.yaml', import.meta.url))],
    scrape_configs: Object.entries(targets).map(([job, addresses]) => ({
      job_name: job,
      static_configs: [{ targets: addresses }],
    })),
  };
  // JSON is YAML.
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const url = `http://127.0.0.1:${port}`;
  const flags = [
    `--config.file=${folder}/prometheus.yml`,
    `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--enable-feature=exemplar-storage',
  ];
  const child: Child = await startChild('prometheus', program.path, flags, { ready: `${url}/-/ready`, readyOk: true });
  return {
    async traceIds(expr, from, to) {
      const query = new URLSearchParams({ query: expr, start: String(from), end: String(to) });
      const answer = await fetch(`${url}/api/v1/query_exemplars`, { method: 'POST', body: query });
      const { data = [] } = (await answer.json()) as ExemplarsAnswer;
      return data.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id ?? ''));
    },
    async range(expr, from, to) {
      const query = new URLSearchParams({ query: expr, start: String(from), end: String(to), step: '1' });
      const answer = await fetch(`${url}/api/v1/query_range`, { method: 'POST', body: query });
      const { data, error } = (await answer.json()) as RangeAnswer;
      if (data === undefined) throw new Error(`${expr}: ${error}`);
      return data.result.map(({ metric, values }) => ({
        labels: metric,
        points: values
          .map(([time, value]) => [time, Number(value)] as const)
          .filter(([, value]) => !Number.isNaN(value)),
      }));
    },
    async stop() {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface RangeAnswer {
  readonly error?: string;
  readonly data?: {
    readonly result: ReadonlyArray<{
      readonly metric: Record<string, string>;
      readonly values: ReadonlyArray<[number, string]>;
    }>;
  };
}

interface ExemplarsAnswer {
  readonly data?: ReadonlyArray<{
    readonly exemplars: ReadonlyArray<{ readonly labels: Readonly<Record<string, string>> }>;
  }>;
}
