/**
 * `undertone predict`: prints the emotion and gender that a model predicts for audio files. Tiles are made with the feature settings
 * that the model was trained with, as the predictor makes them.
 */
import { Command, Option } from 'nest-commander';
import { settingsHash } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import type { ScoredTile } from '#contracts/emotions.js';
import { silenceProfiles, type SilenceProfile } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { mostProbable } from '#evaluation/confusion.js';
import { scoreTiles, type TileScore } from '#serving/score-tiles.js';
import { extractFile } from '../extract-file.js';
import { ModelCommand } from '../model-command.js';
import { type ModelChoice, openModel } from '../open-model.js';
import { alignedTable } from '../results.js';
import { exitCodes, oneOf, print, printAside, printJson, printLine } from '../undertone-command.js';

type Shares = Record<string, number>;
interface FilePrediction {
  file: string;
  emotion: Shares;
  gender: Shares | null;
  /** With `--every`. */
  windows?: ScoredTile[];
}

interface PredictOptions extends ModelChoice {
  json?: boolean;
  csv?: boolean;
  every?: number;
  silence?: SilenceProfile;
}

@Command({
  name: 'predict',
  arguments: '<files...>',
  description: 'Predict emotion probabilities and gender for audio files, with the champion or another model',
})
export class PredictCommand extends ModelCommand {
  protected readonly example =
    './undertone predict hello.wav\n  ./undertone predict call.wav --every 1 --csv\n  ./undertone predict --from runs/paper-aae hello.wav';

  async run(files: string[], { json, csv, every, silence = 'ends', ...choice }: PredictOptions): Promise<void> {
    if (json && csv) throw new PipelineError('CONFIG_INVALID', '--json and --csv exclude each other. Give one of the two.');
    const { model, checkpoint, chosen, environment, features: settings } = await openModel(choice);
    const { target } = model.settings;
    const ffmpeg = chooseFfmpeg(environment);
    if (model.settings.tile.join() !== [settings.rows, settings.width].join())
      throw new PipelineError(
        'CONFIG_INVALID',
        `The model expects tiles of ${model.settings.tile.join(' x ')}, and its feature settings are not known. The default settings make others. Choose another model.`,
      );
    if (settingsHash(settings, null) !== checkpoint.settingsHash)
      printAside(
        '! the feature settings of the model are not known: none of its shards is left. The defaults are used; expect worse predictions',
      );
    const predictions: FilePrediction[] = [];
    const failures: { file: string; code: string; message: string }[] = [];
    let classes: TileScore['classes'] = {};
    for (const file of files) {
      try {
        const made = await extractFile(file, settings, { silence, ffmpeg, windowsEverySec: every });
        const [score, ...more] = await scoreTiles(model, made.windows ? [made, made.windows] : [made]);
        if (!score) continue;
        classes = score.classes;
        const windows = more.length > 0 ? { windows: more.flatMap(({ tiles }) => tiles) } : {};
        predictions.push({ file, emotion: score.probabilities[target] ?? {}, gender: score.probabilities.gender ?? null, ...windows });
      } catch (error) {
        // A file that fails does not stop the others.
        if (!(error instanceof PipelineError)) throw error;
        failures.push({ file, code: error.code, message: error.message });
      }
    }
    for (const { code, message } of failures) printAside(`✗ ${code}: ${message}`);
    if (failures.length > 0) process.exitCode = exitCodes.failed;
    if (json) return printJson({ model: { runId: checkpoint.runId, step: checkpoint.step, chosen }, classes, predictions, failures });
    if (csv) return print(csvOf(predictions, classes));
    printLine(`model ${checkpoint.runId}, step ${checkpoint.step}: ${chosen}`);
    const names = classes[target] ?? [];
    const rows = predictions.map(({ file, emotion, gender }) => [file, ...cellsOf(names, emotion, gender)]);
    print(alignedTable(['file', target, ...names, 'gender'], rows));
    for (const { file, windows = [] } of predictions) {
      if (windows.length === 0) continue;
      printLine(`\n${file}, every ${every} s`);
      const overTime = windows.map(({ startSec, endSec, probabilities }) => [
        `${seconds(startSec)}–${seconds(endSec)} s`,
        ...cellsOf(
          names,
          byName(names, probabilities[target]),
          probabilities.gender ? byName(classes.gender ?? [], probabilities.gender) : null,
        ),
      ]);
      print(alignedTable(['time', target, ...names, 'gender'], overTime));
    }
  }

  @Option({
    flags: '--silence <profile>',
    description: `which silence is cut: ${silenceProfiles.join(', ')}; the model should hear what it was trained on`,
    defaultValue: 'ends',
  })
  parseSilence(text: string): SilenceProfile {
    return oneOf(silenceProfiles, text, '--silence');
  }

  @Option({ flags: '--json', description: 'print JSON, for scripts' })
  parseJson(): boolean {
    return true;
  }

  @Option({
    flags: '--csv',
    description: 'print a table of comma-separated values: with --every a row for each window, else for each file',
  })
  parseCsv(): boolean {
    return true;
  }

  @Option({ flags: '--every <seconds>', description: 'also answer every so many seconds, over the width of a tile' })
  parseEvery(text: string): number {
    const every = Number(text);
    if (every >= 0.1 && every <= 60) return every;
    throw new PipelineError('CONFIG_INVALID', `--every ${text}: expected seconds from 0.1 to 60.`);
  }
}

/** One row for each window, or for each file without windows. */
function csvOf(predictions: readonly FilePrediction[], classes: TileScore['classes']): string {
  const columns = Object.entries(classes).flatMap(([task, names]) => names.map((name) => `${task}_${name}`));
  const rows = predictions.flatMap(({ file, emotion, gender, windows }) => {
    if (!windows) return [[file, '', '', ...Object.values(emotion), ...Object.values(gender ?? {})]];
    return windows.map(({ startSec, endSec, probabilities }) => [
      file,
      startSec ?? '',
      endSec ?? '',
      ...Object.values(probabilities).flat(),
    ]);
  });
  return [['file', 'start_sec', 'end_sec', ...columns], ...rows].map((row) => row.map(quoted).join(',')).join('\n');
}

const quoted = (cell: string | number): string => (/[",\n]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell));
const byName = (names: readonly string[], shares: readonly number[] = []): Shares =>
  Object.fromEntries(names.map((name, at) => [name, shares[at] ?? 0]));
const seconds = (value: number | null): string => (value === null ? '?' : value.toFixed(2));
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const most = (shares: Shares): string => Object.keys(shares)[mostProbable(Object.values(shares))] ?? '';

const cellsOf = (names: readonly string[], emotion: Shares, gender: Shares | null): string[] => [
  most(emotion),
  ...names.map((name) => percent(emotion[name] ?? 0)),
  gender ? `${most(gender)} ${percent(Math.max(...Object.values(gender)))}` : '–',
];
