import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  GraphDrawStyle,
  LegendDisplayMode,
  StackingConfigBuilder,
  StackingMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  type Panel as BuiltPanel,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import type { Dashboard, Panel, Query, Variable } from './spec.ts';

/** Chosen by the reader, so that the files fit every Grafana. */
const DATASOURCE = { type: 'prometheus', uid: '$datasource' } as const;
/** By which dashboards find each other. */
const TAG = 'postern';
/** Rows of Grafana's grid. */
const HEIGHTS: Readonly<Record<Panel['kind'], number>> = { timeseries: 8, table: 8, stat: 4 };

/** The JSON model that Grafana provisions. */
export function buildDashboard(dashboard: Dashboard): unknown {
  const builder = new DashboardBuilder(dashboard.title)
    .uid(dashboard.uid)
    .description(dashboard.description)
    .tags([TAG])
    .link(
      new DashboardLinkBuilder('Postern')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .includeVars(true)
        .keepTime(true),
    )
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'));
  for (const variable of dashboard.variables) builder.withVariable(queryVariable(variable));
  for (const row of dashboard.rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(buildPanel(panel));
  }
  return builder.build();
}

function queryVariable({ name, label, query }: Variable): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query({ query, refId: name })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current({ selected: true, text: 'All', value: '$__all' });
}

function buildPanel(panel: Panel): Builder<BuiltPanel> {
  switch (panel.kind) {
    case 'timeseries':
      return timeseries(panel);
    case 'stat':
      return common(new StatBuilder(), panel, target);
    case 'table':
      return common(new TableBuilder(), panel, tableTarget);
    default:
      return panel.kind satisfies never;
  }
}

function timeseries(panel: Panel): TimeseriesBuilder {
  const builder = common(new TimeseriesBuilder(), panel, target)
    .drawStyle(GraphDrawStyle.Line)
    .showPoints(VisibilityMode.Never)
    .fillOpacity(panel.stacked === true ? 40 : 10)
    .min(0)
    .legend(new VizLegendOptionsBuilder().showLegend(true).displayMode(LegendDisplayMode.List).calcs(['lastNotNull']));
  return panel.stacked === true ? builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal)) : builder;
}

/** What every kind of panel has. */
function common<B extends StatBuilder | TableBuilder | TimeseriesBuilder>(
  builder: B,
  panel: Panel,
  toTarget: (query: Query, refId: string) => Builder<Dataquery>,
): B {
  builder
    .title(panel.title)
    .description(panel.description)
    .datasource(DATASOURCE)
    .unit(panel.unit)
    .height(HEIGHTS[panel.kind])
    .span(panel.width);
  for (const [index, query] of panel.queries.entries()) builder.withTarget(toTarget(query, refIdOf(index)));
  if (panel.thresholds !== undefined)
    builder.thresholds(
      new ThresholdsConfigBuilder()
        .mode(ThresholdsMode.Absolute)
        .steps(panel.thresholds.map(({ from, color }) => ({ value: from, color }))),
    );
  return builder;
}

function target({ expr, legend }: Query, refId: string): DataqueryBuilder {
  return (
    new DataqueryBuilder()
      .refId(refId)
      .expr(expr)
      .legendFormat(legend)
      .datasource(DATASOURCE)
      .range()
      // Points that lead to a trace, where the bucket has one.
      .exemplar(expr.includes('_bucket'))
  );
}

function tableTarget({ expr, legend }: Query, refId: string): DataqueryBuilder {
  return target({ expr, legend }, refId).instant().format(PromQueryFormat.Table);
}

/** Grafana names queries A, B, C. */
function refIdOf(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}
