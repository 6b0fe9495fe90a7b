import type { Sample } from './measure.ts';
import type { Row } from './rows.ts';

/** A row of the table. Requests, milliseconds and microseconds are medians of the rounds. */
export interface Reported {
  readonly row: string;
  readonly perSecond?: number;
  /** Between the slowest and the fastest round, in parts of the median. */
  readonly spread?: number;
  readonly p50?: number;
  readonly p99?: number;
  readonly cpuMicros?: number;
  readonly comparedWith?: string;
  /** Parts of the other's requests per second, or milliseconds more at the median. */
  readonly unit?: 'ratio' | 'ms';
  readonly is?: number;
  readonly bar?: number;
  readonly met?: boolean;
  readonly problem?: string;
  /** Rounds that were measured before two runs had agreed. */
  readonly cold?: number;
}

export function report(
  all: readonly Row[],
  samples: ReadonlyMap<string, readonly Sample[]>,
  problems: ReadonlyMap<string, string>,
): Reported[] {
  return all.map((row) => {
    const runs = samples.get(row.name) ?? [];
    if (runs.length === 0) return { row: row.name, problem: problems.get(row.name) ?? 'no run' };
    const perSecond = median(runs, (run) => run.perSecond);
    const rates = runs.map((run) => run.perSecond);
    return {
      row: row.name,
      perSecond,
      spread: (Math.max(...rates) - Math.min(...rates)) / perSecond,
      p50: median(runs, (run) => run.p50),
      p99: median(runs, (run) => run.p99),
      cpuMicros: median(runs, (run) => run.cpuMicros),
      cold: runs.filter((run) => !run.warm).length,
      ...compared(row, runs, samples),
    };
  });
}

/** Round by round, since rounds alternate and the machine's speed drifts between them. */
function compared(
  { bar }: Row,
  runs: readonly Sample[],
  samples: ReadonlyMap<string, readonly Sample[]>,
): Pick<Reported, 'comparedWith' | 'unit' | 'is' | 'bar' | 'met'> {
  const reference = bar === undefined ? undefined : samples.get(bar.of);
  if (bar === undefined || reference === undefined || reference.length === 0) return {};
  const rounds = runs.slice(0, reference.length).map((run, at) => [run, reference[at] as Sample] as const);
  if (bar.kind === 'added') {
    const is = median(rounds, ([run, other]) => run.p50 - other.p50);
    return { comparedWith: bar.of, unit: 'ms', is, bar: bar.limit, met: is <= bar.limit };
  }
  const is = median(rounds, ([run, other]) => run.perSecond / other.perSecond);
  return {
    comparedWith: bar.of,
    unit: 'ratio',
    is,
    ...(bar.limit === undefined ? {} : { bar: bar.limit, met: is >= bar.limit }),
  };
}

function median<T>(runs: readonly T[], of: (run: T) => number): number {
  return runs.map(of).sort((a, b) => a - b)[Math.floor(runs.length / 2)] as number;
}

const HEAD = ['row', 'req/s', 'spread', 'p50 ms', 'p99 ms', 'CPU µs', 'compared with', 'is', 'at least', ''];

/** As a Markdown table, whose columns stand below each other on a terminal too. */
export function markdown(rows: readonly Reported[]): string {
  const lines = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)));
  const text = lines.map((line) => `| ${widths.map((width, at) => (line[at] ?? '').padEnd(width)).join(' | ')} |`);
  return [text[0], `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...text.slice(1)].join('\n');
}

const [BEGIN, END] = ['<!-- measured -->', '<!-- /measured -->'];

/** A page with this run's table in place of the one between its two marks. @throws Error where it has no such place */
export function withTable(page: string, rows: readonly Reported[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin) throw new Error(`the page has no place between ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${markdown(rows)}\n\n${page.slice(end)}`;
}

function cells(row: Reported): string[] {
  if (row.perSecond === undefined) return [row.row, '', '', '', '', '', '', '', '', `not measured: ${firstLine(row)}`];
  const added = row.unit === 'ms';
  const ratio = (value: number | undefined) =>
    value === undefined ? '' : added ? `${value < 0 ? '' : '+'}${value.toFixed(2)} ms` : value.toFixed(2);
  const verdict = row.met === undefined ? '' : row.met ? 'met' : 'MISSED';
  return [
    row.row,
    row.perSecond.toFixed(0),
    `${((row.spread ?? 0) * 100).toFixed(0)} %`,
    (row.p50 ?? Number.NaN).toFixed(2),
    (row.p99 ?? Number.NaN).toFixed(2),
    Number.isFinite(row.cpuMicros) ? (row.cpuMicros as number).toFixed(1) : '',
    row.comparedWith ?? '',
    ratio(row.is),
    row.bar === undefined ? '' : added ? `≤ ${row.bar} ms` : row.bar.toFixed(2),
    (row.cold ?? 0) > 0 ? `${verdict} (${row.cold} not warm)`.trim() : verdict,
  ];
}

function firstLine({ problem = '' }: Reported): string {
  return (problem.split('\n')[0] as string).slice(0, 120);
}
