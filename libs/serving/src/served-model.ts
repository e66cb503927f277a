/**
 * A model in memory that answers requests. It knows the feature settings of the tiles that it was trained on, and refuses all
 * others: a tile made with other settings shows another picture of the same sound, and its score would mean nothing.
 *
 * It owns tensors. Its owner calls `retire`; the tensors go when the last running score is done.
 */
import type { ScoringModel } from '#contracts/emotions.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { loadModel } from '#model-files/checkpoint.js';
import type { AnyModel } from '#paper/model.js';
import { readWeights, targetOf } from '#rounds/checkpoint-store.js';
import type { Objects } from '#storage/object-store.js';
import type { ChosenModel } from './choose-model.js';
import { scoreTiles, type TileScore, type TilesToScore } from './score-tiles.js';

/** Names a model in all tables: RUN/STEP. */
export const modelName = ({ runId, step }: Pick<ScoringModel, 'runId' | 'step'>): string => `${runId}/${step}`;

/** Tiles, and the settings that they were made with. */
export interface MadeTiles extends TilesToScore {
  settingsHash: string;
}

export class ServedModel {
  private users = 0;
  private isRetired = false;

  /** @param settingsHashes feature settings of the tiles that the model was trained on */
  constructor(
    private readonly model: AnyModel,
    readonly identity: ScoringModel,
    readonly settingsHashes: ReadonlySet<string>,
    /** The settings of most of its tiles; new audio is made into tiles with them. */
    readonly mainSettingsHash: string,
  ) {}

  /** The backend must be chosen before. @throws PipelineError CHECKPOINT_INVALID, OBJECT_GONE */
  static async load(store: Objects, { checkpoint, champion }: ChosenModel): Promise<ServedModel> {
    const model = loadModel(checkpoint.model, await readWeights(store, checkpoint));
    const { runId, step, settingsHash, settings = {} } = checkpoint;
    const identity = { runId, step, target: targetOf(checkpoint), champion };
    return new ServedModel(model, identity, new Set([settingsHash, ...Object.values(settings)]), settingsHash);
  }

  get name(): string {
    return modelName(this.identity);
  }

  /** [rows, frames] */
  get tile(): readonly [number, number] {
    return this.model.settings.tile;
  }

  accepts(settingsHash: string): boolean {
    return this.settingsHashes.has(settingsHash);
  }

  /**
   * @returns a score for each recording, in order
   * @throws PipelineError FEATURE_SETTINGS_MISMATCH before anything is scored, if one of them has tiles of other settings
   */
  async score(recordings: readonly MadeTiles[]): Promise<TileScore[]> {
    for (const { settingsHash } of recordings) this.refuseOtherSettings(settingsHash);
    this.users++;
    try {
      return await scoreTiles(this.model, recordings);
    } finally {
      this.users--;
      this.disposeIfUnused();
    }
  }

  retire(): void {
    this.isRetired = true;
    this.disposeIfUnused();
  }

  private refuseOtherSettings(settingsHash: string): void {
    if (this.accepts(settingsHash)) return;
    throw new PipelineError(
      'FEATURE_SETTINGS_MISMATCH',
      `The tiles were made with feature settings ${settingsHash}, and model ${this.name} was trained with ${[...this.settingsHashes].join(', ')}. Train a model on the new tiles, or set the feature settings back with \`./undertone reprocess\`.`,
      { context: { settingsHash, model: this.name } },
    );
  }

  private disposeIfUnused(): void {
    if (this.isRetired && this.users === 0) this.model.dispose();
  }
}
