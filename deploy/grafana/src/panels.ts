/** Builds the kinds of panels of the dashboards. A title asks a question, and a description says how to read the answer. */
import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge';
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  QueryVariableBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';

/** PromQL and the legend of its series, in which `{{label}}` is the value of a label. */
export type Query = [expr: string, legend: string];

export interface Question {
  title: string;
  /** Tells how to read the panel, and where to look next. */
  description: string;
  /** Grafana's name of the unit: `s`, `percentunit`, `short`, `suffix: tiles/s`. */
  unit: string;
  queries: Query[];
  /** Limits in the unit: yellow deserves attention, red is wrong; or the value from which the panel is green. */
  thresholds?: { yellow: number; red?: number } | { greenFrom: number };
  min?: number;
  max?: number;
  /** The text of an empty panel. */
  noValue?: string;
  /** Width in columns, of 24. */
  span?: number;
}

const datasource = { type: 'prometheus', uid: '${datasource}' };

/** Shows the current number over a sparkline of its past. */
export function stat(question: Question): Stat {
  return asked(new Stat(), { span: 6, ...question })
    .height(5)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(question.thresholds ? BigValueColorMode.Value : BigValueColorMode.None)
    .reduceOptions(lastValue());
}

/** Shows values over time. */
export function lines(question: Question): TimeSeries {
  const panel = asked(new TimeSeries(), { span: 12, ...question })
    .height(8)
    .lineWidth(2)
    .fillOpacity(6)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .calcs(['lastNotNull', 'max']),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassic));
  return question.thresholds ? panel.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed)) : panel;
}

/** Shows one bar with the current value of each series. */
export function bars(question: Question): BarGauge {
  return asked(new BarGauge(), { span: 12, ...question })
    .height(8)
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .reduceOptions(lastValue());
}

const lastValue = (): ReduceDataOptionsBuilder => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false);

function asked<Panel extends Stat | TimeSeries | BarGauge>(panel: Panel, question: Question): Panel {
  const { title, description, unit, queries, min = 0, max, noValue, span = 12, thresholds } = question;
  panel.title(title).description(description).unit(unit).min(min).span(span).datasource(datasource).thresholds(thresholdsOf(thresholds));
  if (max !== undefined) panel.max(max);
  if (noValue !== undefined) panel.noValue(noValue);
  for (const [index, [expr, legend]] of queries.entries()) {
    const refId = String.fromCharCode(65 + index);
    panel.withTarget(new DataqueryBuilder().refId(refId).expr(expr).legendFormat(legend).datasource(datasource));
  }
  return panel;
}

function thresholdsOf(thresholds: Question['thresholds']): ThresholdsConfigBuilder {
  const builder = new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute);
  if (!thresholds) return builder.steps([{ value: null, color: 'green' }]);
  if ('greenFrom' in thresholds)
    return builder.steps([
      { value: null, color: 'red' },
      { value: thresholds.greenFrom, color: 'green' },
    ]);
  const { yellow, red } = thresholds;
  return builder.steps([
    { value: null, color: 'green' },
    { value: yellow, color: 'yellow' },
    ...(red === undefined ? [] : [{ value: red, color: 'red' }]),
  ]);
}

export interface DashboardText {
  uid: string;
  title: string;
  description: string;
}

/** Builds a dashboard with links to the others, and variables for the data source and the job. */
export function dashboard({ uid, title, description }: DashboardText, panels: (Stat | TimeSeries | BarGauge)[]): DashboardBuilder {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['undertone'])
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-3h', to: 'now' })
    .refresh('30s')
    .link(
      new DashboardLinkBuilder('Undertone')
        .type(DashboardLinkType.Dashboards)
        .tags(['undertone'])
        .tooltip('The other dashboards of Undertone')
        .keepTime(true)
        .includeVars(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('job')
        .label('Job')
        .description('The name of the job of the services in the configuration of Prometheus')
        .datasource(datasource)
        .query('label_values({__name__=~"undertone_.+"}, job)')
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .includeAll(true)
        .current({ text: 'All', value: '$__all' }),
    );
  for (const panel of panels) builder.withPanel(panel);
  return builder;
}
