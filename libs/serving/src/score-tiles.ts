/**
 * Turns tiles into scores: probabilities for the whole recording, which are the mean over its tiles, and for each tile. The stream,
 * `POST /predict` and the command `predict` all score here, so the same tiles give the same numbers.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TileTime } from '#audio/tile-times.js';
import type { ScoredTile, UtteranceScored } from '#contracts/emotions.js';
import { genders } from '#contracts/labels.js';
import type { AnyModel } from '#paper/model.js';
import { predict } from '#paper/predict.js';

export interface TilesToScore {
  /** [count, rows, frames] */
  tiles: Uint8Array;
  count: number;
  /** Null for a tile whose time is unknown. */
  times: readonly (TileTime | null)[];
}

/** The part of a score that the tiles and the network decide. */
export type TileScore = Pick<UtteranceScored, 'classes' | 'probabilities' | 'entropy' | 'tiles'>;

/** Tiles of one pass. Between passes the process answers requests and heartbeats. */
const tilesPerPass = 16;
/** Probabilities are rounded to this many parts of one, which is finer than single precision repeats between machines. */
const parts = 1e6;

/** @returns a score for each recording, in order @throws RangeError if tiles have another size than the model takes */
export async function scoreTiles(model: AnyModel, recordings: readonly TilesToScore[]): Promise<TileScore[]> {
  const [rows, frames] = model.settings.tile;
  const tileBytes = rows * frames;
  const pixels = joined(recordings, tileBytes);
  const count = pixels.length / tileBytes;
  const classes: UtteranceScored['classes'] = { [model.settings.target]: [...model.settings.tasks.emotion] };
  if (model.heads.gender) classes.gender = [...genders];
  const emotion = new Float32Array(count * model.settings.tasks.emotion.length);
  const gender = new Float32Array(count * genders.length);
  for (let start = 0; start < count; start += tilesPerPass) {
    const size = Math.min(tilesPerPass, count - start);
    const pass = await predict(model, pixels.subarray(start * tileBytes, (start + size) * tileBytes), size);
    emotion.set(pass.emotion, start * model.settings.tasks.emotion.length);
    if (pass.gender) gender.set(pass.gender, start * genders.length);
    await nextTurn();
  }
  const outputs = new Map<string, Float32Array>([
    [model.settings.target, emotion],
    ['gender', gender],
  ]);
  let first = 0;
  return recordings.map((recording) => {
    const tiles = Array.from({ length: recording.count }, (_, tile): ScoredTile => {
      const probabilities = Object.entries(classes).map(([task, names]) => {
        const at = (first + tile) * names.length;
        return [task, [...(outputs.get(task) as Float32Array).subarray(at, at + names.length)].map(rounded)];
      });
      const time = recording.times[tile] ?? null;
      return {
        startSec: time && milliseconds(time.startSec),
        endSec: time && milliseconds(time.endSec),
        probabilities: Object.fromEntries(probabilities) as ScoredTile['probabilities'],
      };
    });
    const probabilities = Object.fromEntries(
      Object.entries(classes).map(([task, names]) => [
        task,
        Object.fromEntries(
          names.map((name, index) => [name, meanOf(outputs.get(task) as Float32Array, { first, recording, names, index })]),
        ),
      ]),
    ) as UtteranceScored['probabilities'];
    first += recording.count;
    return { classes, probabilities, entropy: entropyOf(Object.values(probabilities[model.settings.target] ?? {})), tiles };
  });
}

/** Entropy in bits. */
export function entropyOf(probabilities: readonly number[]): number {
  const bits = probabilities.reduce((sum, share) => sum - (share > 0 ? share * Math.log2(share) : 0), 0);
  return Math.max(0, Math.round(bits * parts) / parts);
}

function joined(recordings: readonly TilesToScore[], tileBytes: number): Uint8Array {
  const count = recordings.reduce((sum, each) => sum + each.count, 0);
  const pixels = new Uint8Array(count * tileBytes);
  let at = 0;
  for (const { tiles, count: own } of recordings) {
    if (tiles.length !== own * tileBytes) throw new RangeError(`${tiles.length} pixels are not ${own} tiles of ${tileBytes}`);
    pixels.set(tiles, at);
    at += tiles.length;
  }
  return pixels;
}

function meanOf(
  values: Float32Array,
  { first, recording, names, index }: { first: number; recording: TilesToScore; names: readonly string[]; index: number },
): number {
  let sum = 0;
  for (let tile = first; tile < first + recording.count; tile++) sum += values[tile * names.length + index] as number;
  return rounded(sum / recording.count);
}

const rounded = (share: number): number => Math.min(1, Math.round(share * parts) / parts);
const milliseconds = (seconds: number): number => Math.round(seconds * 1000) / 1000;
