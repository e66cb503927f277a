/** Builds the result sections of a report: scores, classes, training curves, reconstructions and latents. */
import { confusionChart, reliabilityChart } from './class-charts.js';
import { calibrationTable, hasFewClasses, recallTable } from './class-tables.js';
import { drawChart, type ChartSpec } from './draw-chart.js';
import type { ExperimentResults } from './experiment-results.js';
import { counted } from './format-numbers.js';
import { levelRows } from './level-rows.js';
import { fewestCodes, latentChart, mapOfCodes } from './latent-chart.js';
import { measuresOf } from './quoted-scores.js';
import { reconstructionError, reconstructionPicture } from './reconstruction-pictures.js';
import type { ReportBlock, ReportFigure, ReportSection } from './report-blocks.js';
import { barsChart, linesChart, pointsChart } from './score-charts.js';
import { scoreTables, sourcesTable, sweepTable, taskList } from './score-tables.js';
import { primaryTask } from './primary-task.js';
import type { TaskSummary } from './summarise-results.js';
import { taskInText, taskName } from './task-names.js';
import { devCurves, lossCurves } from './training-charts.js';

interface Figure {
  id: string;
  title: string;
  caption: string;
  spec: ChartSpec;
}

async function figure({ id, title, caption, spec }: Figure): Promise<ReportFigure> {
  return { kind: 'figure', id, title, caption, svg: await drawChart(spec, { id, title, description: caption }) };
}

export async function scoresSection(results: ExperimentResults, summaries: readonly TaskSummary[]): Promise<ReportSection> {
  const tables = results.experiment.layout === 'lines' ? [sweepTable(results, summaries)] : scoreTables(results, summaries);
  const blocks: ReportBlock[] =
    summaries.length > 0 ? [await scoresFigure(results, summaries), ...tables, sourcesTable(results, summaries)] : tables;
  if (summaries.length === 0) blocks.unshift({ kind: 'text', text: 'No job is done yet, so there are no scores of ours.' });
  return { id: 'scores', title: 'Scores', blocks };
}

async function scoresFigure(results: ExperimentResults, summaries: readonly TaskSummary[]): Promise<ReportFigure> {
  const { rows, experiment, protocol } = results;
  const whiskers = 'The 95 % interval is by bootstrap over speakers, where there are at least five';
  if (experiment.layout === 'lines') {
    const sweep = protocol.sweep ?? 'point';
    const level = levelRows(summaries, results.missing);
    const levelLines = level.size > 0 ? ' Level lines without a band are references, which do not depend on the swept variable.' : '';
    const caption = `UA by ${sweep.toLowerCase()}, mean over folds and seeds.${levelLines} Band: 95 % interval by bootstrap over speakers; for speakers as a task, and below five test speakers, one standard deviation over folds. The axes do not begin at zero.`;
    return figure({
      id: 'figure-scores',
      title: `Scores by ${sweep.toLowerCase()}`,
      caption,
      spec: linesChart(summaries, { sweep, level }),
    });
  }
  const quoted = rows.some((row) => row.quoted.length > 0) ? ' Hollow diamond: the number of the paper or its reference.' : '';
  const chance = ' Dashed line: guessing (UA).';
  const tasks = taskList(rows.map(primaryTask));
  if (experiment.layout === 'bars') {
    const caption = `${tasks}: UA of each system, mean over folds and seeds, percent. ${whiskers}.${chance}${quoted}`;
    return figure({ id: 'figure-scores', title: 'Systems compared', caption, spec: barsChart({ rows, summaries, measures: ['ua'] }) });
  }
  const measures = measuresOf(rows);
  const caption = `${tasks}: each system’s mean over folds and seeds, percent, with its interval. ${whiskers}.${chance}${quoted} The axes do not begin at zero.`;
  return figure({ id: 'figure-scores', title: 'Systems compared', caption, spec: pointsChart({ rows, summaries, measures }) });
}

/** Recall, confusion and calibration; for a sweep, at its last point. */
export async function classSection(results: ExperimentResults, summaries: readonly TaskSummary[]): Promise<ReportSection> {
  const last = [...Map.groupBy(summaries, ({ row, task }) => `${row.id} ${task}`).values()].map((own) => own.at(-1) as TaskSummary);
  const sweep = results.protocol.sweep;
  const where = sweep === null ? '' : `, at the last point of the sweep (${sweep.toLowerCase()})`;
  const blocks: ReportBlock[] = [];
  for (const [task, own] of Map.groupBy(last.filter(hasFewClasses), (each) => each.task)) {
    const scored = own.filter(({ confusion }) => confusion !== null);
    if (scored.length === 0) continue;
    blocks.push(recallTable(scored, where));
    if (task === 'gender' || task === 'speaker') continue;
    const caption = `The answers for each true class, pooled over folds and seeds${where}. Upper number and colour: share of the true class (each row adds up to 100 %). Lower number: the count of answers, with an utterance counted once for each ${results.protocol.testCorpus === null ? 'seed' : 'fold and seed'}.`;
    blocks.push(
      await figure({ id: `figure-confusion-${task}`, title: `Confusion: ${taskInText(task)}`, caption, spec: confusionChart(scored) }),
    );
  }
  for (const [task, own] of Map.groupBy(last, (each) => each.task)) {
    const told = own.filter(({ calibration }) => calibration !== null);
    if (task === 'gender' || task === 'speaker' || told.length === 0) continue;
    const caption = `The share of right answers, by the probability of the answer (ten bins; larger points hold more answers)${where}. On the dashed line a model is well calibrated; below it, the model is overconfident. The vertical strokes are the gaps whose weighted mean is the expected calibration error (ECE).`;
    blocks.push(
      await figure({ id: `figure-calibration-${task}`, title: `Reliability: ${taskInText(task)}`, caption, spec: reliabilityChart(told) }),
    );
  }
  if (last.some(({ calibration }) => calibration !== null)) blocks.push(calibrationTable(last, where));
  return { id: 'classes', title: 'Classes and calibration', blocks };
}

export async function trainingSection(results: ExperimentResults): Promise<ReportSection> {
  const blocks: ReportBlock[] = [];
  const which = results.protocol.sweep === null ? '' : ' Jobs of the last point of the sweep.';
  const left = ' Steps that fewer than half of a row’s jobs reached are left out.';
  const dev = devCurves(results);
  if (dev) {
    const caption = `UA on dev speakers by step: mean over a row’s jobs (folds and seeds), with a band of one standard deviation.${which}${left} This curve decides when training stops and which weights are kept. Test speakers have no influence on it.`;
    blocks.push(await figure({ id: 'figure-dev', title: 'Learning curves', caption, spec: dev }));
  }
  const tasks = [...new Set(results.rows.map(primaryTask))];
  for (const task of tasks) {
    const losses = lossCurves(results, task);
    if (!losses) continue;
    const title = tasks.length > 1 ? `Losses: ${taskInText(task)}` : 'Losses';
    const caption = `The parts of the loss on training tiles by step, mean over a row’s jobs.${which}${left}`;
    blocks.push(await figure({ id: `figure-losses-${task}`, title, caption, spec: losses }));
  }
  return { id: 'training', title: 'How training went', blocks };
}

export async function learntSection({ latents, reconstructions }: ExperimentResults): Promise<ReportSection> {
  const blocks: ReportBlock[] = [];
  if (reconstructions.length > 0) {
    blocks.push({
      kind: 'figure',
      id: 'figure-reconstructions',
      title: 'Reconstructions',
      caption:
        'Tiles of utterances (left) and their reconstructions by the decoder (right): time to the right, low frequencies at the bottom, brighter is louder.',
      pictures: reconstructions.map((sample, index) => ({
        name: `reconstruction-${index + 1}`,
        heading: `${sample.utteranceId}: mean absolute difference ${reconstructionError(sample).toFixed(3)} of 1`,
        alt: `Spectrogram of ${sample.utteranceId} on the left, its reconstruction on the right`,
        png: reconstructionPicture(sample),
      })),
    });
  }
  const map = mapOfCodes(latents);
  if (map) {
    const caption = `The codes z of ${counted(map.length, 'utterance')} in two dimensions by UMAP (15 neighbours, seeded): one map, coloured three times. The encoder treats neighbouring points as alike. Distances between far groups have no meaning.`;
    blocks.push(await figure({ id: 'figure-latents', title: 'Latent space', caption, spec: latentChart(map) }));
  } else if (latents.length > 0) {
    blocks.push({ kind: 'text', text: `The latent space is not drawn: a map needs the codes of at least ${fewestCodes} utterances.` });
  }
  return { id: 'learnt', title: 'What was learnt', blocks };
}
