/** Which models the exports can write: the paper's systems, all of whose heads are of one kind. */
import { PipelineError } from '#contracts/pipeline-error.js';
import type { HeadName } from '#paper/losses.js';
import type { AnyModel } from '#paper/model.js';
import type { Head, Network } from '#paper/networks.js';

/** @throws PipelineError SETTINGS_INVALID for a baseline of experiments */
export function exportableHeads({ settings, heads }: AnyModel): Record<HeadName, Network<Head> | null> {
  if (settings.system === 'cnn-lstm' || settings.system === 'progressive')
    throw new PipelineError(
      'SETTINGS_INVALID',
      `system ${settings.system} is a baseline of experiments and has no export: aae, ae and cnn have`,
    );
  return heads as Record<HeadName, Network<Head> | null>;
}
