/** Draws training curves: UA on dev speakers and the losses by step, as the mean over a row's jobs with a band of one standard deviation. */
import { type ChartSpec, panelHeader, palette, scalesOf } from './draw-chart.js';
import type { Task } from '#contracts/labels.js';
import type { ExperimentResults, JobResult } from './experiment-results.js';
import { primaryTask } from './primary-task.js';
import { namesOfRows } from './row-names.js';
import { mean, standardDeviation } from '#evaluation/mean-deviation.js';

interface CurvePoint {
  system: string;
  part: string;
  step: number;
  value: number;
  low: number;
  high: number;
}

/** A loss curve is drawn at no more than this many steps. More would be invisible and make the file large. */
const mostSteps = 60;
/** A step needs at least this share of a row's jobs. With fewer, the mean would cover only the jobs that ran longest. */
const fewestJobs = 0.5;

/** @returns null if no job was checked on dev speakers */
export function devCurves(results: ExperimentResults): ChartSpec | null {
  const points = curvesOf(results, ({ curve }) =>
    curve.flatMap(({ step, devUa }) => (devUa === null ? [] : [{ step, part: 'dev', value: 100 * devUa }])),
  );
  if (points.length === 0) return null;
  const rows = labelsOf(points);
  return {
    data: { values: points },
    columns: 3,
    spacing: { row: 70, column: 30 },
    bounds: 'flush',
    facet: { field: 'system', type: 'nominal', sort: rows, header: panelHeader() },
    spec: {
      width: rows.length === 1 ? 420 : 178,
      height: 130,
      encoding: { x: { field: 'step', type: 'quantitative', axis: { title: 'step', tickCount: 4, grid: false } } },
      layer: bandAndLine('UA on dev, percent', { color: palette[0] }),
    },
    resolve: { axis: { x: 'independent', y: 'shared' } },
  };
}

/** One panel for each part of the loss, one line for each row of a target. @returns null if there are no losses */
export function lossCurves(results: ExperimentResults, task: Task): ChartSpec | null {
  const rows = results.rows.filter((row) => primaryTask(row) === task);
  const points = curvesOf({ ...results, rows }, ({ curve }) =>
    thinned(curve).flatMap(({ step, losses }) =>
      Object.entries(losses).flatMap(([part, value]) =>
        value === null || !Number.isFinite(value) ? [] : [{ step, part: inWords(part), value }],
      ),
    ),
  );
  if (points.length === 0) return null;
  const systems = labelsOf(points);
  const scales = scalesOf(systems);
  const bySystem = (scale: ChartSpec): ChartSpec => ({
    field: 'system',
    type: 'nominal',
    scale,
    legend:
      systems.length > 1
        ? { title: null, orient: 'bottom', columns: 3, symbolType: 'stroke', symbolSize: 220, symbolStrokeWidth: 2 }
        : null,
  });
  return {
    data: { values: points },
    columns: 3,
    spacing: { row: 70, column: 52 },
    bounds: 'flush',
    facet: { field: 'part', type: 'nominal', sort: [...new Set(points.map(({ part }) => part))], header: panelHeader() },
    spec: {
      width: 172,
      height: 130,
      encoding: {
        x: { field: 'step', type: 'quantitative', axis: { title: 'step', tickCount: 4, grid: false } },
        color: bySystem(scales.color),
        strokeDash: bySystem(scales.dash),
      },
      layer: [
        {
          mark: { type: 'line', strokeWidth: 1.6 },
          encoding: { y: { field: 'value', type: 'quantitative', scale: { zero: false }, axis: { title: null, tickCount: 4 } } },
        },
      ],
    },
    resolve: { scale: { y: 'independent' }, axis: { x: 'independent', y: 'independent' } },
  };
}

/** Spells a camel-case name as words: `discriminatorAccuracy` becomes "discriminator accuracy". */
const inWords = (part: string): string => part.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function bandAndLine(title: string, { color }: { color: string | undefined }): ChartSpec[] {
  const y = { type: 'quantitative', scale: { zero: false }, axis: { title, tickCount: 5 } };
  return [
    { mark: { type: 'area', opacity: 0.2, color }, encoding: { y: { field: 'low', ...y }, y2: { field: 'high' } } },
    { mark: { type: 'line', strokeWidth: 1.8, color }, encoding: { y: { field: 'value', ...y } } },
    { mark: { type: 'point', filled: true, size: 18, opacity: 1, color }, encoding: { y: { field: 'value', ...y } } },
  ];
}

const labelsOf = (points: readonly CurvePoint[]): string[] => [...new Set(points.map(({ system }) => system))];

type Look = { step: number; part: string; value: number };

/** For a sweep, takes the jobs of its last point. */
function curvesOf({ rows, results }: ExperimentResults, looks: (result: JobResult) => Look[]): CurvePoint[] {
  const names = namesOfRows(rows);
  return rows.flatMap((row) => {
    const all = results.filter(({ job }) => job.rowId === row.id);
    const last = Math.max(...all.map(({ job }) => job.point ?? 0));
    const jobs = all.filter(({ job }) => (job.point ?? 0) === last);
    const byPlace = Map.groupBy(jobs.flatMap(looks), ({ part, step }) => `${part} ${step}`);
    return [...byPlace.values()]
      .filter((found) => found.length >= fewestJobs * jobs.length)
      .map((found): CurvePoint => {
        const { part, step } = found[0] as Look;
        const values = found.map(({ value }) => value);
        const [middle, spread] = [mean(values), standardDeviation(values) ?? 0];
        return { system: names.get(row.id)?.full ?? row.label, part, step, value: middle, low: middle - spread, high: middle + spread };
      })
      .sort((a, b) => a.step - b.step);
  });
}

/** Keeps every n-th point and the last. Jobs with the same steps keep the same points. */
function thinned(curve: JobResult['curve']): JobResult['curve'] {
  const every = Math.ceil(curve.length / mostSteps);
  return curve.filter((_, index) => index % every === 0 || index === curve.length - 1);
}
