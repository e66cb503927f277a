/** `undertone export-model`: writes a model for a browser, for onnxruntime, or as bare weights. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'nest-commander';
import { genders } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { saveModel } from '#model-files/checkpoint.js';
import { exportOnnx } from '#model-files/export-onnx.js';
import { exportTfjsLayers } from '#model-files/export-tfjs-layers.js';
import { ModelCommand } from '../model-command.js';
import { type ModelChoice, openModel, type OpenedModel } from '../open-model.js';
import { oneOf, print } from '../undertone-command.js';

const modelFormats = ['tfjs-layers', 'onnx', 'safetensors'] as const;
type ModelFormat = (typeof modelFormats)[number];

interface ExportModelOptions extends ModelChoice {
  out: string;
  format: ModelFormat;
}

const howToOpen: Record<ModelFormat, (folder: string) => string> = {
  'tfjs-layers': (folder) => `tf.loadLayersModel("${folder}/model.json").predict(pixels), pixels [B, rows, frames, 1] from 0 to 1`,
  onnx: (folder) => `onnxruntime.InferenceSession("${folder}/model.onnx").run(None, {"pixels": pixels}), from 0 to 1`,
  safetensors: (folder) => `safetensors.numpy.load_file("${folder}/model.safetensors"), running statistics and Adam's moments too`,
};

@Command({
  name: 'export-model',
  description: 'Write the champion or another model for a browser (tfjs-layers), for onnxruntime, or as safetensors',
})
export class ExportModelCommand extends ModelCommand {
  protected readonly example =
    './undertone export-model --format onnx --out model\n  ./undertone export-model --format tfjs-layers --from runs/paper-aae --out web/model';

  async run(_arguments: string[], { out, format, ...choice }: ExportModelOptions): Promise<void> {
    if (existsSync(out)) throw new PipelineError('CONFIG_INVALID', `${out} exists already. Name another folder, or remove it.`);
    const opened = await openModel(choice);
    const about = describe(opened);
    const draft = `${out}.part`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { recursive: true });
    for (const [name, content] of Object.entries(await filesOf(opened, format, about))) writeFileSync(join(draft, name), content);
    writeFileSync(join(draft, 'about.json'), `${JSON.stringify(about, null, 2)}\n`);
    renameSync(draft, out);
    print(
      `model ${about.run}, step ${about.step} (${opened.chosen}), in ${out}; about.json lists its classes and says how to make its tiles`,
    );
    print(howToOpen[format](out));
  }

  @Option({ flags: '-o, --out <dir>', description: 'the folder to create', required: true })
  parseOut(folder: string): string {
    return folder;
  }

  @Option({ flags: '-f, --format <format>', description: modelFormats.join(', '), defaultValue: 'onnx' })
  parseFormat(text: string): ModelFormat {
    return oneOf(modelFormats, text, '--format');
  }
}

/** Describes the model for the user of the files: the classes of each output, and how a tile is made. */
function describe({ checkpoint, model }: OpenedModel) {
  const { target, tasks, auxiliary, tile } = model.settings;
  return {
    run: checkpoint.runId,
    step: checkpoint.step,
    target,
    classes: {
      emotion: tasks.emotion,
      ...(auxiliary.gender && { gender: [...genders] }),
      ...(auxiliary.speaker && { speaker: checkpoint.speakers }),
    },
    midpoints: checkpoint.midpoints,
    input: { name: 'pixels', shape: ['batch', ...tile, 1], range: [0, 1], axes: ['tile', 'frequency, upwards', 'time', 'channel'] },
    featureSettingsHash: checkpoint.settingsHash,
    viewDigest: checkpoint.view.digest,
    codeVersion: checkpoint.codeVersion,
  };
}

async function filesOf(
  { model }: OpenedModel,
  format: ModelFormat,
  about: ReturnType<typeof describe>,
): Promise<Record<string, string | Uint8Array>> {
  switch (format) {
    case 'tfjs-layers':
      return exportTfjsLayers(model, about);
    case 'onnx': {
      const asText = Object.entries(about).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]);
      return { 'model.onnx': await exportOnnx(model, Object.fromEntries(asText) as Record<string, string>) };
    }
    case 'safetensors': {
      const { manifest, bytes } = await saveModel(model);
      return { 'model.safetensors': bytes, 'manifest.json': `${JSON.stringify(manifest, null, 2)}\n` };
    }
  }
}
