/** Makes small tiles whose bright rows encode the emotion, so that a tiny network learns them in a few steps. */
import { featureSettings } from '#audio/feature-settings.js';
import type { ShardRow } from '#audio/shard/shard-file.js';
import { emotionCategories, genders } from '#contracts/labels.js';

export const tileSettings = featureSettings({ rows: 16, width: 32 });

export interface MadeRow {
  corpus: string;
  speaker: number;
  take: number;
  tileIndex?: number;
  /** Part of the utterance's id after the corpus. Default: `s<speaker>-<take>`. */
  name?: string;
}

/** A row of a shard: the take decides the emotion. Activation and valence are both 3. */
export function madeRow({ corpus, speaker, take, tileIndex = 0, name = `s${speaker}-${take}` }: MadeRow): ShardRow {
  const brightFrom = (take % emotionCategories.length) * 4;
  const grain = (2 * take + tileIndex + 3) * (speaker + 1);
  const tile = Uint8Array.from({ length: 16 * 32 }, (_pixel, at) => {
    const row = Math.floor(at / 32);
    return (row >= brightFrom && row < brightFrom + 4 ? 160 : 10) + ((at * grain) % 61);
  });
  return {
    ...{ tile, utteranceId: `${corpus}/${name}`, version: `v-${speaker}-${take}`.padEnd(16, '-'), tileIndex, corpus },
    ...{ speaker: `${corpus}/s${speaker}`, gender: genders[speaker % 2] ?? null },
    ...{ category: emotionCategories[take % emotionCategories.length] ?? null, activation: 3, valence: 3 },
  };
}
