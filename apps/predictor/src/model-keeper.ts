/**
 * Keeps the served model in memory: the champion of the newest model's target, else the newest model. When another model is chosen,
 * it is loaded first and then takes over; running scores finish on the old one.
 *
 * If the chosen model cannot be used, the predictor keeps the model that it has, and says why.
 */
import type { FeatureSettings } from '#audio/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Logger } from '#service/logger.js';
import { chooseServedModel, type ChosenModel, whyChosen } from '#serving/choose-model.js';
import { featureSettingsOf } from '#serving/feature-settings-of.js';
import { findCheckpoint } from '#rounds/checkpoint-store.js';
import { modelName, ServedModel } from '#serving/served-model.js';
import type { Objects } from '#storage/object-store.js';
import { describeError } from '#streaming/failure.js';
import { isOutage, retrying } from '#streaming/retry.js';

export interface ModelKeeperOptions {
  store: Objects;
  logger: Logger;
  onChange: (model: ServedModel) => void;
  crash: (error: unknown) => void;
}

export class ModelKeeper {
  private served: { model: ServedModel; checkpoint: ChosenModel['checkpoint']; since: string } | null = null;
  private settings: { hash: string; settings: FeatureSettings } | null = null;
  private refused: PipelineError | null = null;
  private choosing: Promise<void> | null = null;
  private isAskedAgain = false;
  private readonly stopped = new AbortController();

  constructor(private readonly options: ModelKeeperOptions) {}

  get model(): ServedModel | null {
    return this.served?.model ?? null;
  }

  get checkpoint(): ChosenModel['checkpoint'] | null {
    return this.served?.checkpoint ?? null;
  }

  get since(): string | null {
    return this.served?.since ?? null;
  }

  /** The reason why the chosen model is not served, in words. */
  get problem(): string | null {
    return this.refused && `${this.refused.code}: ${this.refused.message}`;
  }

  /** Chooses again. Calls during a choice lead to one more choice. */
  refresh(): Promise<void> {
    this.isAskedAgain = true;
    this.choosing ??= this.chooseUntilQuiet().finally(() => {
      this.choosing = null;
    });
    return this.choosing;
  }

  /** Chooses again if the checkpoint ends a round; the others are never served. */
  noteCheckpoint({ runId, step }: { runId: string; step: number }): void {
    this.untilDone(
      this.endsRound(runId, step).then((doesEnd) => {
        if (doesEnd) return this.refresh();
      }),
    );
  }

  private async endsRound(runId: string, step: number): Promise<boolean> {
    try {
      const found = await retrying(() => findCheckpoint(this.options.store, runId, step), { signal: this.stopped.signal });
      return found?.complete === true;
    } catch (error) {
      if (isOutage(error)) throw error;
      // The trainer reports a manifest that cannot be read.
      this.options.logger.warn({ err: error, model: `${runId}/${step}` }, 'cannot read an announced checkpoint');
      return false;
    }
  }

  /** Chooses again in the background. An unexpected error ends the process. */
  noteNews(): void {
    this.untilDone(this.refresh());
  }

  private untilDone(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.stopped.signal.aborted) this.options.crash(error);
    });
  }

  /** The feature settings with which new audio is made into tiles for the model. @throws PipelineError FEATURE_SETTINGS_MISMATCH */
  async featureSettings(model: ServedModel): Promise<FeatureSettings> {
    const hash = model.mainSettingsHash;
    if (this.settings?.hash !== hash) this.settings = { hash, settings: await featureSettingsOf(this.options.store, hash) };
    return this.settings.settings;
  }

  stop(): void {
    this.stopped.abort();
    this.served?.model.retire();
  }

  private async chooseUntilQuiet(): Promise<void> {
    while (this.isAskedAgain && !this.stopped.signal.aborted) {
      this.isAskedAgain = false;
      await this.choose();
    }
  }

  private async choose(): Promise<void> {
    const { store, logger, onChange } = this.options;
    const { signal } = this.stopped;
    try {
      const chosen = await retrying(() => chooseServedModel(store), { signal });
      this.refused = null;
      if (!chosen || this.isServed(chosen)) return;
      const model = await retrying(() => ServedModel.load(store, chosen), { signal });
      if (signal.aborted) return model.retire();
      this.served?.model.retire();
      this.served = { model, checkpoint: chosen.checkpoint, since: new Date().toISOString() };
      logger.info({ model: model.name, champion: chosen.champion, settings: [...model.settingsHashes] }, `serves ${whyChosen(chosen)}`);
      onChange(model);
      // Kept in the bucket now, while its shards exist.
      await retrying(() => this.featureSettings(model), { signal });
    } catch (error) {
      if (signal.aborted) return;
      if (isOutage(error)) throw error;
      // Nobody knows what a damaged object makes of the code that reads it. The present model stays.
      this.refused =
        error instanceof PipelineError ? error : new PipelineError('CHECKPOINT_INVALID', describeError(error), { cause: error });
      logger.error({ code: this.refused.code, err: error, keeps: this.model?.name ?? null }, this.refused.message);
    }
  }

  private isServed({ checkpoint, champion }: ChosenModel): boolean {
    return this.model?.name === modelName(checkpoint) && this.model.identity.champion === champion;
  }
}
