/** The one place that knows every system: the paper's three, and the two baselines that Table II quotes of other papers. */
import type { AnyModel } from '#paper/model.js';
import { createPaperModel } from '#paper/paper-model.js';
import type { ModelSettings } from '#paper/settings.js';
import { createCnnLstm } from './cnn-lstm-model.js';
import { createProgressive } from './progressive-phases.js';

const creators: Record<ModelSettings['system'], (settings: ModelSettings) => AnyModel> = {
  aae: createPaperModel,
  ae: createPaperModel,
  cnn: createPaperModel,
  'cnn-lstm': createCnnLstm,
  progressive: createProgressive,
};

/** Makes a model with fresh weights on the current backend. The caller disposes it. */
export function createModel(settings: ModelSettings): AnyModel {
  return creators[settings.system](settings);
}
