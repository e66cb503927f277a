/** The scores of an experiment as pictures: systems with intervals as points or as bars (the paper's Fig. 2), sweeps as lines with bands (Fig. 3). */
import type { Task } from '#contracts/labels.js';
import { type ChartSpec, dashes, ink, palette, quiet, shapes } from './draw-chart.js';
import { quotedOf } from './quoted-scores.js';
import { taskName } from './task-names.js';
import type { ExperimentRow } from './experiment-results.js';
import { primaryTask, type MeasureName, type TaskSummary } from './summarise-results.js';

const measureNames: Record<MeasureName, string> = { ua: 'UA', wa: 'WA' };

/** What is drawn of a row in one panel; percent. */
interface ScoreMark {
  system: string;
  panel: string;
  value: number | null;
  low: number | null;
  high: number | null;
  quoted: number | null;
  text: string;
  chance: number | null;
}

interface RowScores {
  rows: readonly ExperimentRow[];
  summaries: readonly TaskSummary[];
  measures: readonly MeasureName[];
}

function marksOf({ rows, summaries, measures }: RowScores): ScoreMark[] {
  const severalTasks = new Set(rows.map(primaryTask)).size > 1;
  return rows.flatMap((row) => {
    const task = primaryTask(row);
    const own = summaries.findLast((each) => each.row.id === row.id && each.task === task);
    return measures.map((measure): ScoreMark => {
      const scores = own?.[measure];
      const panel = [severalTasks ? taskName(task) : null, measures.length > 1 || !severalTasks ? measureNames[measure] : null];
      return {
        system: row.label,
        panel: panel.filter((part) => part !== null).join(', '),
        value: percentOf(scores?.mean),
        low: percentOf(scores?.interval?.[0]),
        high: percentOf(scores?.interval?.[1]),
        quoted: quotedOf(row, task, measure)?.value ?? null,
        text: scores ? (scores.mean * 100).toFixed(1) : '',
        chance: measure === 'ua' ? percentOf(chanceOf(own)) : null,
      };
    });
  });
}

const percentOf = (share: number | undefined): number | null => (share === undefined ? null : share * 100);
const chanceOf = (summary: TaskSummary | undefined): number | undefined =>
  summary && 1 / Math.max(1, summary.recall.filter((value) => value !== null).length);

const lowToHigh = { x: { field: 'low', type: 'quantitative' }, x2: { field: 'high' } };

/** Points with intervals, and what the paper gives as a hollow diamond: one panel for each target and measure. */
export function pointsChart(scores: RowScores): ChartSpec {
  const marks = marksOf(scores);
  return panels(marks, {
    ends: (values) => [
      Math.max(0, Math.floor(Math.min(...values) / 10) * 10 - 5),
      Math.min(100, Math.ceil(Math.max(...values) / 10) * 10 + 5),
    ],
    own: [
      { mark: { type: 'rule', color: palette[0], strokeWidth: 2 }, encoding: lowToHigh },
      {
        mark: { type: 'point', filled: true, size: 70, opacity: 1, color: palette[0] },
        encoding: { x: { field: 'value', type: 'quantitative' } },
      },
    ],
    textDy: -9,
    textAt: 'value',
  });
}

/** Bars from zero with intervals, grouped by target. */
export function barsChart(scores: RowScores): ChartSpec {
  const marks = marksOf(scores);
  const systems = [...new Set(marks.map(({ system }) => system))];
  return panels(
    marks.map((mark) => ({ ...mark, end: Math.max(mark.high ?? 0, mark.value ?? 0, mark.quoted ?? 0) })),
    {
      ends: () => [0, 100],
      own: [
        {
          mark: { type: 'bar', height: { band: 0.72 } },
          encoding: {
            x: { field: 'value', type: 'quantitative' },
            color: { field: 'system', type: 'nominal', scale: { domain: systems, range: systems.map(colourOf) }, legend: null },
          },
        },
        { mark: { type: 'rule', color: ink, strokeWidth: 1.3 }, encoding: lowToHigh },
        { mark: { type: 'tick', color: ink, height: 7, thickness: 1.3 }, encoding: { x: { field: 'low', type: 'quantitative' } } },
        { mark: { type: 'tick', color: ink, height: 7, thickness: 1.3 }, encoding: { x: { field: 'high', type: 'quantitative' } } },
      ],
      textDy: 0,
      textAt: 'end',
    },
  );
}

const colourOf = (_: unknown, index: number): string => palette[index % palette.length] as string;

interface PanelParts {
  /** Of the axis, in percent. */
  ends: (values: number[]) => [number, number];
  own: ChartSpec[];
  textDy: number;
  textAt: 'value' | 'end';
}

function panels(marks: readonly ScoreMark[], { ends, own, textDy, textAt }: PanelParts): ChartSpec {
  const names = [...new Set(marks.map(({ panel }) => panel))];
  const systems = [...new Set(marks.map(({ system }) => system))];
  const values = marks
    .flatMap(({ value, low, high, quoted, chance }) => [value, low, high, quoted, chance])
    .filter((each) => each !== null);
  const domain = ends(values.length > 0 ? values : [0, 100]);
  const columns = names.length === 1 ? 1 : 2;
  const chance = { x: { field: 'chance', type: 'quantitative', aggregate: 'min' } };
  return {
    data: { values: marks },
    columns,
    spacing: { row: 22, column: 26 },
    facet: { field: 'panel', type: 'nominal', sort: names, header: { title: null } },
    spec: {
      width: columns === 1 ? 420 : 245,
      height: { step: 25 },
      encoding: {
        y: {
          field: 'system',
          type: 'nominal',
          sort: systems,
          title: null,
          axis: { ticks: false, domain: false, labelPadding: 8, grid: false },
        },
        x: { type: 'quantitative', scale: { domain, zero: false, nice: false }, axis: { title: 'percent', tickCount: 5 } },
      },
      layer: [
        { mark: { type: 'rule', color: quiet, strokeDash: [3, 3] }, encoding: { ...chance, y: null } },
        ...own,
        {
          mark: { type: 'point', shape: 'diamond', filled: false, stroke: ink, strokeWidth: 1.4, size: 60, opacity: 1 },
          encoding: { x: { field: 'quoted', type: 'quantitative' } },
        },
        {
          mark: {
            type: 'text',
            align: textAt === 'end' ? 'left' : 'center',
            dx: textAt === 'end' ? 5 : 0,
            dy: textDy,
            color: ink,
            fontSize: 11,
          },
          encoding: { x: { field: textAt, type: 'quantitative' }, text: { field: 'text' } },
        },
      ],
    },
    resolve: { scale: { x: 'shared', y: 'shared' } },
  };
}

/** UA by the sweep's variable: one panel for each task, one line for each row; the band is the interval, else one standard deviation. */
export function linesChart(summaries: readonly TaskSummary[], sweep: string): ChartSpec {
  const rows = [...new Set(summaries.map(({ row }) => row.label))];
  const tasks = [...new Set(summaries.map(({ task }) => task))];
  const values = summaries.map(({ row, point, task, ua }) => ({
    system: row.label,
    panel: panelOf(task),
    point: point ?? 0,
    value: ua.mean * 100,
    low: 100 * (ua.interval?.[0] ?? ua.mean - (ua.sdOverFolds ?? 0)),
    high: 100 * Math.min(1, ua.interval?.[1] ?? ua.mean + (ua.sdOverFolds ?? 0)),
  }));
  const points = [...new Set(values.map(({ point }) => point))].sort((a, b) => a - b);
  const legend = rows.length > 1 ? { title: null, orient: 'bottom', direction: 'horizontal', symbolStrokeWidth: 2 } : null;
  const bySystem = (range: readonly unknown[]): ChartSpec => ({
    field: 'system',
    type: 'nominal',
    scale: { domain: rows, range: rows.map((_, index) => range[index % range.length]) },
    legend,
  });
  return {
    data: { values },
    columns: Math.min(3, tasks.length),
    spacing: 24,
    facet: { field: 'panel', type: 'nominal', sort: tasks.map(panelOf), header: { title: null } },
    spec: {
      width: tasks.length === 1 ? 440 : tasks.length === 2 ? 270 : 185,
      height: 190,
      encoding: {
        x: {
          field: 'point',
          type: 'quantitative',
          scale: { zero: false, nice: false, padding: 8 },
          axis: { title: sweep, values: points, grid: false, labelOverlap: true },
        },
        y: { type: 'quantitative', scale: { zero: false }, axis: { title: 'UA, percent', tickCount: 5 } },
        color: bySystem(palette),
      },
      layer: [
        { mark: { type: 'area', opacity: 0.16 }, encoding: { y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' } } },
        { mark: { type: 'line', strokeWidth: 2 }, encoding: { y: { field: 'value', type: 'quantitative' }, strokeDash: bySystem(dashes) } },
        {
          mark: { type: 'point', filled: true, size: 55, opacity: 1 },
          encoding: { y: { field: 'value', type: 'quantitative' }, shape: bySystem(shapes) },
        },
      ],
    },
    resolve: { scale: { y: 'independent', x: 'shared' }, axis: { x: 'independent' } },
  };
}

const panelOf = (task: Task): string => taskName(task);
