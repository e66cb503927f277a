/** `undertone predict`: prints the emotion and gender that a model predicts for audio files. */
import { Command, Option } from 'nest-commander';
import { decodersWith, featureSettings, settingsHash } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { genders } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { predict } from '#paper/predict.js';
import { mostProbable } from '#evaluation/confusion.js';
import { extractFile } from '../extract-file.js';
import { ModelCommand } from '../model-command.js';
import { type ModelChoice, openModel } from '../open-model.js';
import { alignedTable } from '../results.js';
import { exitCodes, print, printAside, printJson, printLine } from '../undertone-command.js';

@Command({
  name: 'predict',
  arguments: '<files...>',
  description: 'Predict emotion probabilities and gender for audio files, with the champion or another model',
})
export class PredictCommand extends ModelCommand {
  protected readonly example =
    './undertone predict hello.wav\n  ./undertone predict --json *.flac\n  ./undertone predict --from runs/paper-aae hello.wav';

  async run(files: string[], { json, ...choice }: ModelChoice & { json?: boolean }): Promise<void> {
    const { model, checkpoint, chosen, environment } = await openModel(choice);
    const { target, tasks } = model.settings;
    const emotionClasses = tasks.emotion;
    const ffmpeg = chooseFfmpeg(environment);
    const settings = featureSettings({
      decoders: decodersWith(ffmpeg),
    });
    if (model.settings.tile.join() !== [settings.rows, settings.width].join())
      throw new PipelineError(
        'CONFIG_INVALID',
        `The model expects tiles of ${model.settings.tile.join(' x ')}, and the default feature settings make others. Choose another model.`,
      );
    if (settingsHash(settings, null) !== checkpoint.settingsHash)
      printAside('! the model was trained with other feature settings than the defaults used here; expect worse predictions');
    const predictions = [];
    const failures: { file: string; code: string; message: string }[] = [];
    for (const file of files) {
      try {
        const { tiles, count } = await extractFile(file, settings, { silence: 'none', ffmpeg });
        const { emotion, gender } = await predict(model, tiles, count);
        predictions.push({ file, emotion: byClass(emotion, count, emotionClasses), gender: gender && byClass(gender, count, genders) });
      } catch (error) {
        // A file that fails does not stop the others.
        if (!(error instanceof PipelineError)) throw error;
        failures.push({ file, code: error.code, message: error.message });
      }
    }
    for (const { code, message } of failures) printAside(`✗ ${code}: ${message}`);
    if (failures.length > 0) process.exitCode = exitCodes.failed;
    if (json) return printJson({ model: { runId: checkpoint.runId, step: checkpoint.step, chosen }, predictions, failures });
    printLine(`model ${checkpoint.runId}, step ${checkpoint.step}: ${chosen}`);
    const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
    const rows = predictions.map(({ file, emotion, gender }) => [
      file,
      most(emotion),
      ...emotionClasses.map((name) => percent(emotion[name] ?? 0)),
      gender ? `${most(gender)} ${percent(Math.max(...Object.values(gender)))}` : '–',
    ]);
    print(alignedTable(['file', target, ...emotionClasses, 'gender'], rows));
  }

  @Option({ flags: '--json', description: 'print JSON, for scripts' })
  parseJson(): boolean {
    return true;
  }
}

/** Mean probability over the tiles, by class. */
function byClass(probabilities: Float32Array, count: number, classes: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    classes.map((name, index) => {
      let sum = 0;
      for (let tile = 0; tile < count; tile++) sum += probabilities[tile * classes.length + index] ?? 0;
      return [name, sum / count];
    }),
  );
}

const most = (shares: Record<string, number>): string => Object.keys(shares)[mostProbable(Object.values(shares))] ?? '';
