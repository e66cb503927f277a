/** What a worker thread of the pool does: one file to tiles. Errors with a code come back as data, others crash it. */
import { Piscina } from 'piscina';
import { extractFeatures, type ExtractedFeatures, type ExtractOptions } from '#audio/extract-features.js';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { epochMs } from '#service/epoch.js';
import { PipelineError, type ErrorCode, type PipelineErrorOptions } from '#contracts/pipeline-error.js';

export interface ExtractTask {
  bytes: Uint8Array;
  settings: FeatureSettings;
  options: ExtractOptions;
}

/** By the epoch. */
export interface ExtractTimes {
  beganAtMs: number;
  decodedAtMs: number;
  doneAtMs: number;
}

export type ExtractOutcome =
  | { features: ExtractedFeatures; times: ExtractTimes }
  | { refusal: { code: ErrorCode; message: string; context: PipelineErrorOptions['context'] } };

export default async function extract({ bytes, settings, options }: ExtractTask): Promise<ExtractOutcome> {
  const beganAtMs = epochMs();
  let decodedAtMs = beganAtMs;
  const onDecoded = (): void => {
    decodedAtMs = epochMs();
  };
  try {
    const features = await extractFeatures(bytes, settings, { ...options, ownsBytes: true, onDecoded });
    return moved({ features, times: { beganAtMs, decodedAtMs, doneAtMs: epochMs() } });
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    return { refusal: { code: error.code, message: error.message, context: error.context } };
  }
}

/** The tiles change threads without being copied. */
function moved(outcome: Extract<ExtractOutcome, { features: unknown }>): ExtractOutcome {
  const movable = { [Piscina.transferableSymbol]: [outcome.features.tiles.buffer], [Piscina.valueSymbol]: outcome };
  return Piscina.move(movable as never) as unknown as ExtractOutcome;
}
