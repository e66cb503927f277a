/** The variables that decide how a recording becomes tiles. The features service and `undertone features` read them alike. */
import { z } from 'zod';
import { featureOverridesSchema, type FeatureOverrides } from '#contracts/feature-settings.js';
import { field } from './read-config.js';

/** Samples in a millisecond at the rate of the spectrogram, 22 kHz. */
const SAMPLES_PER_MS = 22;

const milliseconds = (fallback: number) =>
  z.coerce
    .number()
    .positive()
    .refine((ms) => Number.isInteger(ms * SAMPLES_PER_MS), 'expected a whole number of samples at 22 kHz, such as 10, 12.5 or 20')
    .default(fallback)
    .meta({ unit: 'ms' });

export const featureVariables = {
  MAX_DURATION_SEC: field.seconds(600).describe('Features refuses longer audio (`AUDIO_TOO_LONG`). ¹'),
  TILE_MIN_SPEECH: field
    .share(0.1)
    .describe(
      'Share of a tile, from 0 to 1, that must be speech. Features leaves out a tile with less if the utterance has a better one. 0 keeps every tile. ¹',
    ),
  TILE_ROWS: field.wholeIn('rows', 128, 1).describe('Rows of a tile: bands of frequency. ¹'),
  TILE_FRAMES: field.wholeIn('frames', 256, 1).describe('Frames of a tile. 256 frames of 10 ms are 2.56 s. ¹'),
  FRAME_SHIFT_MS: milliseconds(10).describe('Time from one frame to the next. ¹'),
  WINDOW_MS: milliseconds(25).describe('Length of the window that a frame is computed from, at most 46.5 ms. ¹'),
  TILE_LAYOUT: z
    .enum(['tiles', 'centre'])
    .default('tiles')
    .describe('`tiles` covers the whole recording with tiles. `centre` takes one crop from its middle. ¹'),
  FREQUENCY_SCALE: z
    .enum(['linear', 'mel'])
    .default('linear')
    .describe("`linear` rows are equally wide in Hz. `mel` rows are librosa's mel filters. ¹"),
  LOUDNESS_REFERENCE: z
    .enum(['utterance', 'full-scale'])
    .default('utterance')
    .describe('`utterance` measures decibels from the loudest point of the utterance. `full-scale` keeps the loudness of the recording. ¹'),
  BAND_LIMIT_HZ: z
    .union([z.literal('none'), z.coerce.number().positive()])
    .default(8_000)
    .meta({ unit: 'Hz' })
    .describe('Features empties the rows from this frequency on. `none` keeps all rows. ¹'),
  SILENCE_METHOD: featureOverridesSchema.shape.silenceMethod
    .unwrap()
    .default('energy')
    .describe('How features finds silence: `energy`, `top-db` (as librosa trims and splits), `webrtc` or `silero`. ¹'),
  SILENCE_TOP_DB: z.coerce
    .number()
    .positive()
    .default(40)
    .meta({ unit: 'dB' })
    .describe('For `top-db`: a frame this far below the loudest frame is silence. ¹'),
  SILERO_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      'For `silero`: the folder with its packages. `npm install --prefix DIR onnxruntime-web@1.30.0 @ricky0123/vad-web@0.0.31` makes it (150 MB). Features does not start with `silero` and without this folder.',
    ),
};

/** @param read the variables as `readConfig` gives them */
export function featureChangesOf(
  read: z.infer<z.ZodObject<typeof featureVariables>>,
): Required<FeatureOverrides> & { hopLength: number; winLength: number } {
  return {
    rows: read.TILE_ROWS,
    width: read.TILE_FRAMES,
    hopLength: Math.round(read.FRAME_SHIFT_MS * SAMPLES_PER_MS),
    winLength: Math.round(read.WINDOW_MS * SAMPLES_PER_MS),
    maxDurationSec: read.MAX_DURATION_SEC,
    silenceMethod: read.SILENCE_METHOD,
    silenceTopDb: read.SILENCE_TOP_DB,
    layout: read.TILE_LAYOUT,
    minSpeechShare: read.TILE_MIN_SPEECH,
    scale: read.FREQUENCY_SCALE,
    reference: read.LOUDNESS_REFERENCE,
    bandLimitHz: read.BAND_LIMIT_HZ === 'none' ? null : read.BAND_LIMIT_HZ,
  };
}
