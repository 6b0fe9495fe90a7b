/** What a dashboard shows. The files for Grafana, the tests' queries and the pictures in `docs/` are all made from this. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Panel {
  readonly kind: 'timeseries' | 'stat' | 'table';
  readonly title: string;
  /** What a reader should conclude from it. */
  readonly description: string;
  readonly unit: Unit;
  /** Columns of 24. */
  readonly width: number;
  readonly queries: readonly Query[];
  readonly thresholds?: readonly Threshold[];
  /** Areas on top of each other, where the sum means something. */
  readonly stacked?: boolean;
}

export interface Query {
  /** PromQL with Grafana's variables. */
  readonly expr: string;
  /** Name of a series, with `{{label}}`. */
  readonly legend: string;
}

export interface Threshold {
  /** From this value on; null: from the lowest. */
  readonly from: number | null;
  readonly color: 'green' | 'orange' | 'red';
}

/** Grafana's ids of units. */
export type Unit = 'reqps' | 's' | 'percentunit' | 'bytes' | 'short' | 'dtdurations' | 'cores';

export interface Variable {
  readonly name: string;
  readonly label: string;
  /** PromQL `label_values(metric, label)`. */
  readonly query: string;
}

/** Which replica, of either process. */
export const INSTANCE: Variable = {
  name: 'instance',
  label: 'Instance',
  query: 'label_values(postern_build_info, instance)',
};

/** Which MCP server. */
export const SERVER: Variable = {
  name: 'server',
  label: 'MCP server',
  query: 'label_values(postern_relay_requests_total, server)',
};

/** Green, and red from a value on. */
export function redFrom(value: number, orange?: number): Threshold[] {
  const middle: Threshold[] = orange === undefined ? [] : [{ from: orange, color: 'orange' }];
  return [{ from: null, color: 'green' }, ...middle, { from: value, color: 'red' }];
}

/** Red, and green from a value on. */
export function greenFrom(value: number): Threshold[] {
  return [
    { from: null, color: 'red' },
    { from: value, color: 'green' },
  ];
}
