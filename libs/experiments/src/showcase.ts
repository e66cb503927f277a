/** Collects the report's examples from a few test utterances: z of their first tiles, and tiles with their reconstructions. */
import type { AnyModel } from '#paper/model.js';
import { encode, reconstruct } from '#paper/predict.js';
import type { TileStore } from '#rounds/tile-store.js';
import type { ViewUtterance } from '#index/training-index.js';
import type { Showcase } from './job-results.js';

const mostLatents = 240;
const mostReconstructions = 6;

export async function showcaseOf(model: AnyModel, utterances: readonly ViewUtterance[], tileStore: TileStore): Promise<Showcase> {
  const shown = spread(utterances, mostLatents);
  const codes = await encode(model, await firstTiles(shown, tileStore), shown.length);
  const size = codes.length / Math.max(1, shown.length);
  const latents = shown.map(({ utteranceId, labels }, index) => ({
    utteranceId,
    speakerId: labels.speakerId ?? '',
    emotion: labels.category ?? null,
    gender: labels.gender ?? null,
    code: codes.slice(index * size, (index + 1) * size),
  }));
  return { latents, reconstructions: model.decoder ? await reconstructions(model, spread(shown, mostReconstructions), tileStore) : [] };
}

async function reconstructions(model: AnyModel, utterances: ViewUtterance[], tileStore: TileStore): Promise<Showcase['reconstructions']> {
  const { tile } = model.settings;
  const tiles = await firstTiles(utterances, tileStore);
  const decoded = await reconstruct(model, tiles, utterances.length);
  const size = tile[0] * tile[1];
  return utterances.map(({ utteranceId }, index) => ({
    utteranceId,
    original: Float32Array.from(tiles.subarray(index * size, (index + 1) * size), (pixel) => pixel / 255),
    reconstruction: decoded.slice(index * size, (index + 1) * size),
    shape: [...tile],
  }));
}

const firstTiles = (utterances: readonly ViewUtterance[], tileStore: TileStore): Promise<Uint8Array> =>
  tileStore.read(utterances.map((utterance) => ({ utterance, row: utterance.firstRow })));

/** Takes at most `most` elements, evenly spaced and in order. */
function spread<Each>(all: readonly Each[], most: number): Each[] {
  const stride = Math.max(1, all.length / most);
  return Array.from({ length: Math.min(most, all.length) }, (_, index) => all[Math.floor(index * stride)] as Each);
}
