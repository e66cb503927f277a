/**
 * Made voices, for what a real corpus cannot show for want of a licence: whether unlabelled speakers help. A voice is a
 * line that glides, and a resonance above it. The emotion is the direction of the glide, and whether the line lies high
 * or low *for this speaker*, whose usual height only the resonance betrays. So who has heard few labelled speakers cannot
 * know how height and resonance belong together; unlabelled speakers, with their names and genders, show it.
 * Loudness, spectral tilt, noise and background of a speaker tell nothing.
 */
import { SeededRandom } from '#tensor/random.js';
import type { TrainingBatch } from './train-step.js';

export const VOICE_TILE: [number, number] = [32, 32];
/** low and falling, high and falling, low and rising, high and rising */
export const VOICE_EMOTIONS = 4;

interface Speaker {
  id: number;
  gender: number;
  /** Length of the vocal tract, in a manner of speaking: 0 to 1, by gender below or above a half. */
  tract: number;
  tilt: number;
  gain: number;
  noise: number;
  floor: number;
}

/** Tiles one after another, and their class numbers; -1 for an emotion that is not told. */
export interface Voices {
  tiles: Uint8Array[];
  emotion: number[];
  gender: number[];
  speaker: number[];
}

export function makeSpeakers(count: number, random: SeededRandom): Speaker[] {
  return Array.from({ length: count }, (_, id) => {
    const gender = id % 2;
    return {
      id,
      gender,
      tract: (gender + random.uniform()) / 2,
      tilt: 2 * random.uniform() - 1,
      gain: 0.5 + 0.5 * random.uniform(),
      noise: 40 * (0.5 + random.uniform()),
      floor: 40 * random.uniform(),
    };
  });
}

/** @param takes tiles of each emotion by each speaker */
export function speak(speakers: Speaker[], { takes, labelled }: { takes: number; labelled: boolean }, random: SeededRandom): Voices {
  const voices: Voices = { tiles: [], emotion: [], gender: [], speaker: [] };
  for (const speaker of speakers) {
    for (let take = 0; take < takes * VOICE_EMOTIONS; take++) {
      const emotion = take % VOICE_EMOTIONS;
      voices.tiles.push(makeTile(speaker, emotion, random));
      voices.emotion.push(labelled ? emotion : -1);
      voices.gender.push(speaker.gender);
      voices.speaker.push(speaker.id);
    }
  }
  return voices;
}

/** Tiles drawn with replacement, `count` of each. */
export function drawBatch(from: { voices: Voices; count: number }[], random: SeededRandom): TrainingBatch {
  const drawn = from.flatMap(({ voices, count }) =>
    Array.from({ length: count }, () => ({ voices, at: Math.floor(random.uniform() * voices.tiles.length) })),
  );
  return asBatch(drawn);
}

export function allOf(voices: Voices): TrainingBatch {
  return asBatch(voices.tiles.map((_, at) => ({ voices, at })));
}

function asBatch(chosen: { voices: Voices; at: number }[]): TrainingBatch {
  const size = VOICE_TILE[0] * VOICE_TILE[1];
  const tiles = new Uint8Array(chosen.length * size);
  chosen.forEach(({ voices, at }, i) => tiles.set(voices.tiles[at]!, i * size));
  const labels = (name: 'emotion' | 'gender' | 'speaker') => Int32Array.from(chosen, ({ voices, at }) => voices[name][at]!);
  return { tiles, count: chosen.length, emotion: labels('emotion'), gender: labels('gender'), speaker: labels('speaker') };
}

function makeTile({ tract, tilt, gain, noise, floor }: Speaker, emotion: number, random: SeededRandom): Uint8Array {
  const [rows, frames] = VOICE_TILE;
  const tile = new Uint8Array(rows * frames);
  const level = (emotion % 2 === 1 ? 1.5 : -1.5) * (0.7 + 0.6 * random.uniform());
  const glide = (emotion >= 2 ? 2.5 : -2.5) * (0.5 + random.uniform());
  const height = 4 + 10 * tract + level;
  const resonance = 18 + 10 * tract;
  for (let frame = 0; frame < frames; frame++) {
    const line = height + glide * (frame / frames - 0.5);
    for (let row = 0; row < rows; row++) {
      const shimmer = 0.7 + 0.6 * random.uniform();
      const energy = Math.exp(-(((row - line) / 1.2) ** 2)) + 0.7 * shimmer * Math.exp(-(((row - resonance) / 1.5) ** 2));
      const hiss = noise * (random.uniform() + random.uniform() - 1);
      const value = 180 * energy * gain * (1 + tilt * (row / rows - 0.5)) + floor + hiss;
      tile[row * frames + frame] = Math.max(0, Math.min(255, Math.round(value)));
    }
  }
  return tile;
}
