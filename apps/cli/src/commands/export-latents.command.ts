/** `undertone export-latents`: writes the latent z of each utterance, for plots and for other classifiers. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, Option } from 'nest-commander';
import { npyHeader } from '#audio/shard/npy.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { encode } from '#paper/predict.js';
import { latentShape } from '#paper/settings.js';
import { FolderStore } from '#storage/folder-store.js';
import { TileStore } from '#rounds/tile-store.js';
import type { ViewUtterance } from '#index/training-index.js';
import { viewOfShards } from '#index/view-of-shards.js';
import { counted } from '../human-units.js';
import { ModelCommand } from '../model-command.js';
import { type ModelChoice, openModel } from '../open-model.js';
import { csvField } from '#corpora/csv-field.js';
import { print } from '../undertone-command.js';

interface ExportLatentsOptions extends ModelChoice {
  shards: string;
  out: string;
}

@Command({
  name: 'export-latents',
  description: 'Write the latent z of each utterance (the mean over its tiles) as a NumPy array, and the labels as a CSV table',
})
export class ExportLatentsCommand extends ModelCommand {
  protected readonly example =
    './undertone export --format shards --out shards\n  ./undertone export-latents --shards shards --out latents';

  async run(_arguments: string[], { shards, out, ...choice }: ExportLatentsOptions): Promise<void> {
    if (existsSync(out)) throw new PipelineError('CONFIG_INVALID', `${out} exists already. Name another folder, or remove it.`);
    const { utterances, settingsHash } = viewOfShards(resolve(shards));
    const { model, checkpoint, chosen } = await openModel(choice);
    if (settingsHash !== checkpoint.settingsHash)
      throw new PipelineError(
        'CONFIG_INVALID',
        `${shards} was made with other feature settings than the model's training tiles. Export shards with the model's settings, or choose another model.`,
      );
    const tiles = new TileStore(new FolderStore('.'), null);
    await tiles.prepare(utterances);
    const draft = `${out}.part`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { recursive: true });
    const array = openSync(join(draft, 'latents.npy'), 'w');
    writeSync(array, npyHeader([utterances.length, ...latentShape(model.settings)], '<f4'));
    for (const [index, utterance] of utterances.entries()) {
      const refs = Array.from({ length: utterance.tileCount }, (_, tile) => ({ utterance, row: utterance.firstRow + tile }));
      const z = meanOf(await encode(model, await tiles.read(refs), refs.length), refs.length);
      writeSync(array, new Uint8Array(z.buffer));
      if (process.stderr.isTTY) process.stderr.write(`\r${index + 1} of ${utterances.length} utterances\u001b[K`);
    }
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    closeSync(array);
    await tiles.close();
    const rows = utterances.map((utterance) => Object.values(recordOf(utterance)).map(csvField).join(','));
    const head = utterances[0] ? Object.keys(recordOf(utterances[0])).join(',') : '';
    writeFileSync(join(draft, 'latents.csv'), `${[head, ...rows].join('\n')}\n`);
    renameSync(draft, out);
    print(`z of ${counted(utterances.length, 'utterance')} by ${checkpoint.runId}, step ${checkpoint.step} (${chosen}), in ${out}`);
    print(`numpy.load("${out}/latents.npy", mmap_mode="r"), rows as in ${out}/latents.csv`);
  }

  @Option({ flags: '-s, --shards <dir>', description: 'a folder of shards (*.arrow)', required: true })
  parseShards(folder: string): string {
    return folder;
  }

  @Option({ flags: '-o, --out <dir>', description: 'the folder to create', required: true })
  parseOut(folder: string): string {
    return folder;
  }
}

/** @param values [tiles, rest], row-major @returns [rest] */
function meanOf(values: Float32Array, tiles: number): Float32Array<ArrayBuffer> {
  const mean = new Float32Array(values.length / tiles);
  values.forEach((value, i) => (mean[i % mean.length]! += value / tiles));
  return mean;
}

function recordOf({ utteranceId, split, withheld, tileCount, labels }: ViewUtterance) {
  return {
    utterance_id: utteranceId,
    split,
    withheld,
    tiles: tileCount,
    speaker: labels.speakerId ?? null,
    gender: labels.gender ?? null,
    category: labels.category ?? null,
    activation: labels.activation ?? null,
    valence: labels.valence ?? null,
  };
}
