import type { DynamicModule, Type } from '@nestjs/common';

/** In the order of the help. Imports such as TensorFlow or charts take a second to load, so each command is loaded only when it is used. */
const commands: Record<string, () => Promise<Type>> = {
  demo: async () => (await import('./commands/demo.command.js')).DemoCommand,
  up: async () => (await import('./commands/up.command.js')).UpCommand,
  put: async () => (await import('./commands/put.command.js')).PutCommand,
  train: async () => (await import('./commands/train.command.js')).TrainCommand,
  experiment: async () => (await import('./commands/experiment.command.js')).ExperimentCommand,
  features: async () => (await import('./commands/features.command.js')).FeaturesCommand,
  export: async () => (await import('./commands/export.command.js')).ExportCommand,
  'export-model': async () => (await import('./commands/export-model.command.js')).ExportModelCommand,
  'export-latents': async () => (await import('./commands/export-latents.command.js')).ExportLatentsCommand,
  status: async () => (await import('./commands/status.command.js')).StatusCommand,
  verify: async () => (await import('./commands/verify.command.js')).VerifyCommand,
  replay: async () => (await import('./commands/replay.command.js')).ReplayCommand,
  reprocess: async () => (await import('./commands/reprocess.command.js')).ReprocessCommand,
  lineage: async () => (await import('./commands/lineage.command.js')).LineageCommand,
  models: async () => (await import('./commands/models.command.js')).ModelsCommand,
  'model-card': async () => (await import('./commands/model-card.command.js')).ModelCardCommand,
  promote: async () => (await import('./commands/promote.command.js')).PromoteCommand,
  rollback: async () => (await import('./commands/rollback.command.js')).RollbackCommand,
  compact: async () => (await import('./commands/compact.command.js')).CompactCommand,
  predict: async () => (await import('./commands/predict.command.js')).PredictCommand,
  reset: async () => (await import('./commands/reset.command.js')).ResetCommand,
  setup: async () => (await import('./commands/setup.command.js')).SetupCommand,
};

class CliModule {}

/** @returns the command that the first word names; all commands if it names none, for the help and for suggestions of similar names */
export async function cliModuleOf([name = '']: readonly string[]): Promise<DynamicModule> {
  const named = Object.hasOwn(commands, name) ? [commands[name]!] : Object.values(commands);
  return { module: CliModule, providers: await Promise.all(named.map((load) => load())) };
}
