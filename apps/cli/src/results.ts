/** The results of a demo, as a table for people and as JSON for scripts. */
import type { CheckpointSaved } from '#contracts/checkpoints.js';
import { reportedSplit, type ModelEvaluated } from '#contracts/evaluations.js';
import type { Task } from '#contracts/labels.js';
import { printable } from '#contracts/printable.js';
import type { PipelineOverview } from '#overview/pipeline-overview.js';

export interface Results {
  objects: number;
  notAudio: number;
  utterances: number;
  utterancesInShards: number;
  deadLetterCount: number;
  /** The newest 200 dead letters. */
  deadLetters: { key: string; code: string }[];
  tiles: { labelled: number; unlabelled: number };
  tasks: Partial<Record<Task, Pick<ModelEvaluated, 'split' | 'n' | 'wa' | 'ua' | 'recall' | 'confusion'>>>;
  audioSec: number;
  wallSec: Record<string, number>;
  backend: string;
  model: { runId: string; step: number; settings: unknown };
}

/** Evaluations of one checkpoint, by task, each on the reported split. */
export function reportedEvaluations(overview: PipelineOverview, checkpoint: CheckpointSaved): Partial<Record<Task, ModelEvaluated>> {
  const own = overview.evaluationsOf(checkpoint.runId, checkpoint.step);
  return Object.fromEntries(
    checkpoint.predictedTasks.flatMap((task) => {
      // Without test speakers the dev split is reported. The table names the split.
      const found = own.find((each) => each.task === task && each.split === reportedSplit(task)) ?? own.find((each) => each.task === task);
      return found ? [[task, found]] : [];
    }),
  );
}

export function collectResults(facts: {
  overview: PipelineOverview;
  checkpoint: CheckpointSaved;
  objects: { all: number; notAudio: number };
  wallSec: Record<string, number>;
  modelSettings: unknown;
}): Results {
  const { overview, checkpoint, objects, wallSec, modelSettings } = facts;
  const { streams, deadLetters } = overview.snapshot();
  const counts = overview.reconcile();
  const tasks = Object.entries(reportedEvaluations(overview, checkpoint)).map(([task, { split, n, wa, ua, recall, confusion }]) => [
    task,
    { split, n, wa, ua, recall, confusion },
  ]);
  return {
    objects: objects.all,
    notAudio: objects.notAudio,
    utterances: counts.utterances,
    utterancesInShards: counts.inShards,
    deadLetterCount: deadLetters.total,
    deadLetters: overview.deadLetters.map(({ subject, code }) => ({ key: subject, code })),
    tiles: { labelled: streams.labelled.tiles, unlabelled: streams.unlabelled.tiles },
    tasks: Object.fromEntries(tasks) as Results['tasks'],
    audioSec: streams.labelled.audioSec + streams.unlabelled.audioSec,
    wallSec,
    backend: checkpoint.backend,
    model: { runId: checkpoint.runId, step: checkpoint.step, settings: modelSettings },
  };
}

const percent = (share: number | null): string => (share === null ? '–' : `${(share * 100).toFixed(1)} %`);
/** Recalls of more classes than this are summarised, because the line would be too long. */
const mostRecalls = 6;

const plural = (speakers: number): string => (speakers === 1 ? 'speaker' : 'speakers');

export function resultsTable(evaluations: Partial<Record<Task, ModelEvaluated>>): string {
  const rows = Object.values(evaluations).map(({ task, split, n, speakers, wa, ua, classes, recall }) => {
    const occurring = classes.filter((name) => recall[name] !== null && recall[name] !== undefined);
    const recalls =
      occurring.length <= mostRecalls
        ? occurring.map((name) => `${name} ${percent(recall[name] ?? null)}`).join('  ')
        : `of ${occurring.length} of ${classes.length} classes, from ${percent(Math.min(...occurring.map((name) => recall[name] ?? 0)))} to ${percent(Math.max(...occurring.map((name) => recall[name] ?? 0)))}`;
    const on =
      split === 'withheld'
        ? `withheld utterances, ${speakers} known ${plural(speakers)}`
        : `${split}, ${speakers} unheard ${plural(speakers)}`;
    return [task, on, String(n), percent(wa), percent(ua), percent(1 / classes.length), recalls];
  });
  return alignedTable(['task', 'scored on', 'n', 'WA', 'UA', 'chance', 'recall by class'], rows);
}

/** Aligns a table. Cells may hold names from outside: control characters are escaped. */
export function alignedTable(names: string[], cells: string[][]): string {
  const head = names.map(printable);
  const rows = cells.map((row) => row.map(printable));
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: string[]): string => `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ')}`.trimEnd();
  return [line(head), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n');
}
