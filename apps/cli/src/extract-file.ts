/** Makes tiles of a file that was named on the command line. */
import { readFileSync } from 'node:fs';
import { extractFeatures, type ExtractedFeatures, type ExtractOptions } from '#audio/extract-features.js';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';

/** @returns the tiles of a file @throws PipelineError CONFIG_INVALID if the file cannot be read, AUDIO_*; the message begins with the path */
export async function extractFile(path: string, settings: FeatureSettings, options: ExtractOptions): Promise<ExtractedFeatures> {
  try {
    return await extractFeatures(readAudioFile(path), settings, options);
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    throw new PipelineError(error.code, `${path}: ${error.message}`, { cause: error, context: error.context });
  }
}

function readAudioFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, {
      cause: error,
    });
  }
}
