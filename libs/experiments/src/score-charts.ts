/** Draws the scores of an experiment: systems with intervals as points or bars (the paper's Fig. 2), sweeps as lines with bands (Fig. 3). */
import type { Task } from '#contracts/labels.js';
import { type ChartSpec, panelHeader, ink, palette, quiet, scalesOf } from './draw-chart.js';
import { namesOfRows } from './row-names.js';
import { quotedOf } from './quoted-scores.js';
import { taskName } from './task-names.js';
import type { ExperimentRow } from './experiment-results.js';
import { primaryTask } from './primary-task.js';
import type { MeasureName, TaskSummary } from './summarise-results.js';

const measureNames: Record<MeasureName, string> = { ua: 'UA', wa: 'WA' };

/** The values of one row in one panel, in percent. */
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
  const names = namesOfRows(rows);
  return rows.flatMap((row) => {
    const task = primaryTask(row);
    const own = summaries.findLast((each) => each.row.id === row.id && each.task === task);
    return measures.map((measure): ScoreMark => {
      const scores = own?.[measure];
      const panel = [severalTasks ? taskName(task) : null, measures.length > 1 || !severalTasks ? measureNames[measure] : null];
      const quoted = quotedOf(row, task, measure)?.value ?? null;
      const [value, low, high] = [percentOf(scores?.mean), percentOf(scores?.interval?.[0]), percentOf(scores?.interval?.[1])];
      return {
        system: names.get(row.id)?.short ?? row.label,
        panel: panel.filter((part) => part !== null).join(', '),
        value,
        low,
        high,
        quoted,
        text: value === null ? '' : value.toFixed(1),
        chance: measure === 'ua' ? percentOf(chanceOf(own)) : null,
      };
    });
  });
}

const percentOf = (share: number | undefined): number | null => (share === undefined ? null : share * 100);
const chanceOf = (summary: TaskSummary | undefined): number | undefined =>
  summary && 1 / Math.max(1, summary.recall.filter((value) => value !== null).length);

const lowToHigh = { x: { field: 'low', type: 'quantitative' }, x2: { field: 'high' } };

/** Points with intervals, and the paper's numbers as hollow diamonds; one panel for each target and measure. */
export function pointsChart(scores: RowScores): ChartSpec {
  return panels(marksOf(scores), {
    ends: (values) => [Math.max(0, Math.floor(Math.min(...values) / 10) * 10 - 2), Math.ceil(Math.max(...values) / 10) * 10],
    own: [
      { mark: { type: 'rule', color: palette[0], strokeWidth: 2 }, encoding: lowToHigh },
      {
        mark: { type: 'point', filled: true, size: 70, opacity: 1, color: palette[0] },
        encoding: { x: { field: 'value', type: 'quantitative' } },
      },
    ],
  });
}

/** Bars from zero with intervals, grouped by target. */
export function barsChart(scores: RowScores): ChartSpec {
  const marks = marksOf(scores);
  const systems = [...new Set(marks.map(({ system }) => system))];
  return panels(marks, {
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
  });
}

const colourOf = (_: unknown, index: number): string => palette[index % palette.length] as string;

interface PanelParts {
  /** The ends of the axis, in percent. */
  ends: (values: number[]) => [number, number];
  own: ChartSpec[];
}

/** Share of the axis at its right end that is kept free for a column of numbers. */
const textRoom = 0.17;

function ticksOf(first: number, last: number): number[] {
  const step = last - first > 60 ? 20 : 10;
  const from = Math.ceil(first / step) * step;
  return Array.from({ length: Math.floor((last - from) / step) + 1 }, (_, index) => from + index * step);
}

function panels(marks: readonly ScoreMark[], { ends, own }: PanelParts): ChartSpec {
  const names = [...new Set(marks.map(({ panel }) => panel))];
  const systems = [...new Set(marks.map(({ system }) => system))];
  const values = marks
    .flatMap(({ value, low, high, quoted, chance }) => [value, low, high, quoted, chance])
    .filter((each) => each !== null);
  const [first, last] = ends(values.length > 0 ? values : [0, 100]);
  const columns = names.length === 1 ? 1 : 2;
  const chance = { x: { field: 'chance', type: 'quantitative', aggregate: 'min' } };
  return {
    data: { values: marks },
    columns,
    spacing: { row: 22, column: 26 },
    facet: { field: 'panel', type: 'nominal', sort: names, header: panelHeader(40) },
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
        x: {
          type: 'quantitative',
          scale: { domain: [first, last + textRoom * (last - first)], zero: false, nice: false },
          axis: { title: 'percent', values: ticksOf(first, last) },
        },
      },
      layer: [
        ...own,
        { mark: { type: 'rule', color: quiet, strokeDash: [3, 3] }, encoding: { ...chance, y: null } },
        {
          mark: { type: 'point', shape: 'diamond', filled: false, stroke: ink, strokeWidth: 1.4, size: 60, opacity: 1 },
          encoding: { x: { field: 'quoted', type: 'quantitative' } },
        },
        {
          mark: {
            type: 'text',
            align: 'right',
            color: ink,
            fontSize: 11,
          },
          encoding: { x: { value: 'width' }, text: { field: 'text' } },
        },
      ],
    },
    resolve: { scale: { x: 'shared', y: 'shared' } },
  };
}

/**
 * Draws UA by the sweep's variable: one panel for each task, one line for each row. The band is the interval, or one standard deviation.
 * @param level ids of rows that the sweep does not affect; each is a level line across the panel
 */
export function linesChart(summaries: readonly TaskSummary[], { sweep, level }: { sweep: string; level: ReadonlySet<string> }): ChartSpec {
  const rows = [...new Set(summaries.map(({ names }) => names.full))];
  const tasks = [...new Set(summaries.map(({ task }) => task))];
  const values = summaries.map(({ row, names, point, task, ua }) => ({
    system: names.full,
    isLevel: level.has(row.id),
    panel: panelOf(task),
    point: point ?? 0,
    value: ua.mean * 100,
    low: 100 * (ua.interval?.[0] ?? ua.mean - (ua.sdOverFolds ?? 0)),
    high: 100 * Math.min(1, ua.interval?.[1] ?? ua.mean + (ua.sdOverFolds ?? 0)),
  }));
  const points = [...new Set(values.map(({ point }) => point))].sort((a, b) => a - b);
  const scales = scalesOf(rows);
  const legend = {
    title: null,
    orient: 'bottom',
    columns: tasks.length > 1 ? 2 : 1,
    symbolType: 'stroke',
    symbolSize: 220,
    symbolStrokeWidth: 2,
    symbolOpacity: 1,
    labelLimit: 320,
  };
  // All channels share one legend. A null in one channel would remove the legend from all.
  const bySystem = (scale: ChartSpec): ChartSpec => ({
    field: 'system',
    type: 'nominal',
    scale,
    legend: rows.length > 1 ? legend : null,
  });
  const moving = [{ filter: '!datum.isLevel' }];
  return {
    data: { values },
    columns: Math.min(3, tasks.length),
    spacing: tasks.length > 2 ? 58 : 64,
    bounds: 'flush',
    facet: { field: 'panel', type: 'nominal', sort: tasks.map(panelOf), header: panelHeader(40) },
    spec: {
      width: tasks.length === 1 ? 440 : tasks.length === 2 ? 290 : 190,
      height: 190,
      encoding: {
        x: {
          field: 'point',
          type: 'quantitative',
          scale: { zero: false, nice: false, padding: 8 },
          axis: { title: sweep, values: points, labelFontSize: 10, grid: false, labelOverlap: 'greedy', labelSeparation: 5 },
        },
        y: { type: 'quantitative', scale: { zero: false, nice: false, padding: 8 }, axis: { title: 'UA, percent', tickCount: 5 } },
      },
      layer: [
        {
          transform: [{ filter: 'datum.isLevel' }],
          mark: { type: 'rule', strokeWidth: 1.6 },
          encoding: {
            x: null,
            y: { field: 'value', type: 'quantitative' },
            color: bySystem(scales.color),
            strokeDash: bySystem(scales.dash),
          },
        },
        {
          transform: moving,
          mark: { type: 'area', opacity: 0.16 },
          encoding: { color: bySystem(scales.color), y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' } },
        },
        {
          transform: moving,
          mark: { type: 'line', strokeWidth: 2 },
          encoding: {
            y: { field: 'value', type: 'quantitative' },
            color: bySystem(scales.color),
            strokeDash: bySystem(scales.dash),
          },
        },
        {
          transform: moving,
          mark: { type: 'point', filled: true, size: 45, opacity: 1 },
          encoding: { y: { field: 'value', type: 'quantitative' }, color: bySystem(scales.color) },
        },
      ],
    },
    resolve: { scale: { y: 'independent', x: 'shared' }, axis: { x: 'independent' } },
  };
}

const panelOf = (task: Task): string => taskName(task);
