/** Draws confusion matrices and reliability diagrams, one panel for each row of the experiment. */
import { type ChartSpec, panelHeader, ink, palette, quiet } from './draw-chart.js';
import type { TaskSummary } from './summarise-results.js';

/** A matrix with more classes than this is not drawn, because nobody could read it. */
export const mostClasses = 8;

const letterWidth = 6;

/** @param summaries of one task, with classes in the same order */
export function confusionChart(summaries: readonly TaskSummary[]): ChartSpec {
  const classes = summaries[0]?.classes ?? [];
  const values = summaries.flatMap(({ names, confusion }) =>
    (confusion ?? []).flatMap((line, truth) => {
      const total = line.reduce((sum, count) => sum + count, 0);
      return line.map((count, prediction) => ({
        panel: names.short,
        truth: classes[truth],
        prediction: classes[prediction],
        share: total === 0 ? 0 : (100 * count) / total,
        percent: total === 0 ? '–' : `${Math.round((100 * count) / total)} %`,
        count: String(count),
      }));
    }),
  );
  const side = classes.length > 5 ? 34 : 46;
  const textColour = { condition: { test: 'datum.share > 55', value: 'white' }, value: ink };
  return {
    data: { values },
    columns: classes.length > 5 ? 2 : 3,
    spacing: { row: 74, column: 30 },
    bounds: 'flush',
    facet: { field: 'panel', type: 'nominal', sort: summaries.map(({ names }) => names.short), header: panelHeader() },
    spec: {
      width: classes.length * side,
      height: classes.length * side * 0.8,
      encoding: {
        x: {
          field: 'prediction',
          type: 'nominal',
          sort: classes,
          axis: {
            title: 'answered',
            orient: 'bottom',
            labelAngle: letterWidth * Math.max(...classes.map(({ length }) => length)) > side ? -40 : 0,
            ticks: false,
            domain: false,
          },
        },
        y: { field: 'truth', type: 'nominal', sort: classes, axis: { title: 'true class', ticks: false, domain: false, labelPadding: 6 } },
      },
      layer: [
        {
          mark: { type: 'rect', stroke: 'white', strokeWidth: 1.5 },
          encoding: {
            color: {
              field: 'share',
              type: 'quantitative',
              scale: { domain: [0, 100], range: ['#f1f5f9', '#9ecae1', '#3182bd', '#08306b'], type: 'linear', interpolate: 'lab' },
              legend: null,
            },
          },
        },
        { mark: { type: 'text', dy: -6, fontSize: 12, fontWeight: 'bold' }, encoding: { text: { field: 'percent' }, color: textColour } },
        { mark: { type: 'text', dy: 8, fontSize: 10 }, encoding: { text: { field: 'count' }, color: textColour } },
      ],
    },
    resolve: { axis: { x: 'independent', y: 'shared' } },
  };
}

/** Draws accuracy by the mean probability of the answers of each bin. A well calibrated model lies on the diagonal. */
export function reliabilityChart(summaries: readonly TaskSummary[]): ChartSpec {
  const panels = summaries.filter(({ calibration }) => calibration !== null);
  const values = panels.flatMap(({ names, calibration }) =>
    (calibration?.bins ?? [])
      .filter(({ count }) => count > 0)
      .map(({ confidence, accuracy, count }) => ({
        panel: names.short,
        confidence,
        accuracy,
        count,
        share: count / (calibration?.n ?? 1),
      })),
  );
  const errors = panels.map(({ names, calibration }) => ({
    panel: names.short,
    text: `ECE ${(100 * (calibration?.ece ?? 0)).toFixed(1)} %`,
  }));
  const axis = { values: [0, 0.25, 0.5, 0.75, 1], format: '.2~f' };
  const side = 165;
  return {
    data: { values: [...values, ...errors] },
    columns: 3,
    spacing: { row: 74, column: 36 },
    bounds: 'flush',
    facet: { field: 'panel', type: 'nominal', sort: panels.map(({ names }) => names.short), header: panelHeader() },
    spec: {
      width: side,
      height: side,
      layer: [
        {
          data: { values: [{ from: 0, to: 1 }] },
          mark: { type: 'rule', color: quiet, strokeDash: [4, 3] },
          encoding: {
            x: { field: 'from', type: 'quantitative' },
            y: { field: 'from', type: 'quantitative' },
            x2: { field: 'to' },
            y2: { field: 'to' },
          },
        },
        {
          transform: [{ filter: 'isValid(datum.confidence)' }],
          mark: { type: 'rule', color: palette[1], strokeWidth: 1.6 },
          encoding: {
            x: { field: 'confidence', type: 'quantitative' },
            y: { field: 'confidence', type: 'quantitative' },
            y2: { field: 'accuracy' },
          },
        },
        {
          transform: [{ filter: 'isValid(datum.confidence)' }],
          mark: { type: 'point', filled: true, color: palette[0], opacity: 1 },
          encoding: {
            x: {
              field: 'confidence',
              type: 'quantitative',
              scale: { domain: [0, 1] },
              axis: { ...axis, title: 'probability of the answer' },
            },
            y: { field: 'accuracy', type: 'quantitative', scale: { domain: [0, 1] }, axis: { ...axis, title: 'share that was right' } },
            size: { field: 'share', type: 'quantitative', scale: { domain: [0, 1], range: [18, 260] }, legend: null },
          },
        },
        {
          transform: [{ filter: 'isValid(datum.text)' }],
          mark: { type: 'text', x: side - 6, y: side - 10, align: 'right', fontWeight: 'bold' },
          encoding: { text: { field: 'text' } },
        },
      ],
    },
    resolve: { axis: { x: 'independent', y: 'shared' } },
  };
}
