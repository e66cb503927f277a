/** `undertone features`: writes the tiles of audio files as an array, a table or a picture. */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Command, Option } from 'nest-commander';
import type { ExtractedFeatures } from '#audio/extract-features.js';
import { decodersWith, featureSettings, type FeatureSettings } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { writeNpy } from '#audio/shard/npy.js';
import { writeShard } from '#audio/shard/shard-file.js';
import { tilesToPng } from '#audio/spectrogram/tile-picture.js';
import { featureOverrideNames, type FeatureOverrides } from '#contracts/feature-settings.js';
import { silenceProfiles, type SilenceProfile } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { LeftOut } from '#contracts/shards.js';
import { featureChangesOf, featureVariables } from '#service/feature-variables.js';
import { withPreset } from '#service/presets.js';
import { readConfig } from '#service/read-config.js';
import { environment } from '../config.js';
import { parseOverride } from '../feature-overrides.js';
import { extractFile } from '../extract-file.js';
import { oneOf, print, UndertoneCommand } from '../undertone-command.js';

interface FeaturesOptions {
  out: string;
  silence?: SilenceProfile;
  scale?: FeatureSettings['scale'];
  set?: FeatureOverrides;
}

@Command({ name: 'features', arguments: '<files...>', description: 'Turn audio files into spectrogram tiles: X.npy, X.arrow or X.png' })
export class FeaturesCommand extends UndertoneCommand {
  protected readonly example =
    './undertone features speech.wav --out speech.png\n  ./undertone features *.flac --silence ends --set reference=full-scale --out tiles.npy';

  async run(files: string[], { out, silence = 'none', scale, set }: FeaturesOptions): Promise<void> {
    const ffmpeg = chooseFfmpeg();
    const read = readConfig(featureVariables, withPreset(environment));
    const chosen = { ...featureChangesOf(read), ...(scale && { scale }), ...set };
    const settings = featureSettings({ ...chosen, decoders: decodersWith(ffmpeg) });
    const extracted = [];
    for (const file of files) {
      const features = await extractFile(file, settings, { silence, ffmpeg, sileroDir: read.SILERO_DIR });
      extracted.push({ file, features });
      print(
        `${file}: ${features.count} ${features.count === 1 ? 'tile' : 'tiles'} of ${features.audioSec.toFixed(2)} s, ${(features.audioSec - features.keptSec).toFixed(2)} s of silence cut${leftOutText(features.leftOut)}, decoded by ${features.decoder}${features.remark ? `; ${features.remark}` : ''}`,
      );
    }
    const count = extracted.reduce((sum, { features }) => sum + features.count, 0);
    const tiles = Buffer.concat(extracted.map(({ features }) => features.tiles));
    if (out.endsWith('.npy')) writeFileSync(out, writeNpy(tiles, [count, settings.rows, settings.width]));
    else if (out.endsWith('.png'))
      for (const { file, features } of extracted) writeFileSync(pictureOf(file, out, files.length), tilesToPng(features, settings));
    else writeFileSync(out, writeShard(extracted.flatMap(rowsOf), settings));
    print(`${count} tiles of ${settings.rows} × ${settings.width} in ${out.endsWith('.png') ? pictureOf('*', out, files.length) : out}`);
  }

  @Option({
    flags: '-o, --out <file>',
    description: 'the file to write; its ending chooses the format: .npy, .arrow or .png',
    required: true,
  })
  parseOut(file: string): string {
    if (!/\.(npy|arrow|png)$/.test(file))
      throw new PipelineError('CONFIG_INVALID', `--out ${file}: expected a name that ends in .npy, .arrow or .png`);
    return file;
  }

  @Option({
    flags: '--scale <scale>',
    description: 'frequency scale of the rows: linear or mel (default: FREQUENCY_SCALE)',
  })
  parseScale(text: string): FeatureSettings['scale'] {
    return oneOf(['linear', 'mel'], text, '--scale');
  }

  @Option({
    flags: '--set <name=value...>',
    description: `change settings, for instance reference=full-scale: ${featureOverrideNames.join(', ')} (defaults: the variables that the features service reads)`,
  })
  parseSet(pair: string, before: FeatureOverrides = {}): FeatureOverrides {
    return { ...before, ...parseOverride(pair) };
  }

  @Option({ flags: '--silence <profile>', description: `which silence is cut: ${silenceProfiles.join(', ')}`, defaultValue: 'none' })
  parseSilence(text: string): SilenceProfile {
    return oneOf(silenceProfiles, text, '--silence');
  }
}

function leftOutText(leftOut: LeftOut): string {
  return Object.entries(leftOut)
    .map(([reason, tiles]) => `, ${tiles} with ${reason} left out`)
    .join('');
}

/** With several files, each gets a picture of its own: `x.png` becomes `x-<file>.png`. */
function pictureOf(file: string, out: string, files: number): string {
  return files === 1 ? out : out.replace(/\.png$/, `-${basename(file)}.png`);
}

function rowsOf({ file, features }: { file: string; features: ExtractedFeatures }) {
  const size = features.tiles.length / features.count;
  return Array.from({ length: features.count }, (_, tileIndex) => ({
    tile: features.tiles.subarray(tileIndex * size, (tileIndex + 1) * size),
    utteranceId: basename(file),
    version: '',
    tileIndex,
    corpus: '',
    speaker: null,
    gender: null,
    category: null,
    activation: null,
    valence: null,
  }));
}
