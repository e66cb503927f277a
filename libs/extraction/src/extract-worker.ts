/**
 * The worker thread of the pool: turns one file into tiles. It returns errors with a code, and a file that needs more memory than
 * was lent, as data. Other errors crash the thread.
 */
import { Piscina } from 'piscina';
import { extractFeatures, type ExtractedFeatures, type ExtractOptions } from '#audio/extract-features.js';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { NeedsMemory } from '#audio/growing-samples.js';
import { epochMs } from '#service/epoch.js';
import { PipelineError, type ErrorCode, type PipelineErrorOptions } from '#contracts/pipeline-error.js';

export interface ExtractTask {
  bytes: Uint8Array;
  settings: FeatureSettings;
  options: ExtractOptions;
}

/** Times in milliseconds since the epoch. */
export interface ExtractTimes {
  beganAtMs: number;
  decodedAtMs: number;
  doneAtMs: number;
}

export type ExtractOutcome =
  | { features: ExtractedFeatures; times: ExtractTimes }
  /** The file, returned for another try with more memory. */
  | { needsMemory: Uint8Array }
  | { refusal: { code: ErrorCode; message: string; context: PipelineErrorOptions['context'] } };

export default async function extract({ bytes, settings, options }: ExtractTask): Promise<ExtractOutcome> {
  const beganAtMs = epochMs();
  let decodedAtMs = beganAtMs;
  const onDecoded = (): void => {
    decodedAtMs = epochMs();
  };
  try {
    const features = await extractFeatures(bytes, settings, { ...options, ownsBytes: true, onDecoded });
    return moved({ features, times: { beganAtMs, decodedAtMs, doneAtMs: epochMs() } }, features.tiles);
  } catch (error) {
    if (error instanceof NeedsMemory) return moved({ needsMemory: bytes }, bytes);
    if (!(error instanceof PipelineError)) throw error;
    return { refusal: { code: error.code, message: error.message, context: error.context } };
  }
}

/** Moves the array to the other thread without a copy. */
function moved(outcome: ExtractOutcome, array: Uint8Array): ExtractOutcome {
  const movable = { [Piscina.transferableSymbol]: [array.buffer], [Piscina.valueSymbol]: outcome };
  return Piscina.move(movable as never) as unknown as ExtractOutcome;
}
