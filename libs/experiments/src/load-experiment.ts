/** From a file and shards to a plan: the same in the process that hands jobs out and in those that do them. */
import { PipelineError } from '#contracts/pipeline-error.js';
import { canonicalJson, featureSettings, type FeatureSettings } from '#audio/feature-settings.js';
import { viewOfShards } from '#training/view-of-shards.js';
import { type ExperimentData, experimentData } from './experiment-data.js';
import type { ExperimentFile } from './experiment-file.js';
import { type ExperimentPlan, planExperiment } from './plan-experiment.js';

export interface LoadedExperiment {
  file: ExperimentFile;
  data: ExperimentData;
  plan: ExperimentPlan;
}

/** @param shards a folder of them @throws PipelineError CONFIG_INVALID, SETTINGS_INVALID */
export function loadExperiment(file: ExperimentFile, shards: string, { search }: { search: boolean }): LoadedExperiment {
  const view = viewOfShards(shards);
  refuseOtherFeatures(file, view.features);
  const data = experimentData(file, view, view.tileShape);
  return { file, data, plan: planExperiment(file, data, { search }) };
}

/** Settings that shards of this experiment have. @throws PipelineError SETTINGS_INVALID */
export const featuresOf = (file: ExperimentFile): FeatureSettings => featureSettings(file.features);

function refuseOtherFeatures({ features }: ExperimentFile, have: FeatureSettings): void {
  for (const [name, wanted] of Object.entries(features)) {
    const found = (have as unknown as Record<string, unknown>)[name];
    if (canonicalJson(found) === canonicalJson(wanted)) continue;
    throw new PipelineError(
      'CONFIG_INVALID',
      `The shards were made with ${name} ${JSON.stringify(found)} and the experiment asks for ${JSON.stringify(wanted)}: ` +
        `make them with it (docs/operations.md, feature settings), or change features in the file`,
    );
  }
}
